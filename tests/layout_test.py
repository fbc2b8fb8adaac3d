#!/usr/bin/env python3
"""Holds the tree to its architecture: who includes whom, where each library lives, how large a file may grow.

layout_test.py              checks the repository that it lies in (tracked files and new ones that git does not ignore)
layout_test.py --self-test  feeds each rule a violation and expects it to be reported, and a clean tree no report

The checks are pure functions of path and text. A failure reads FILE:LINE: [RULE] what: reason.
"""
import os
import re
import subprocess
import sys
from typing import Iterator, NamedTuple

ROOMS = ["config", "collectors", "storage", "daemon"]  # each may include itself and what stands before it
DRIVER_ROOMS = ["power", "thermal", "gpu", "host", "work"]
TOP_LEVEL = set(ROOMS) | {"tests", "deploy", "CMakeLists.txt", "CMakePresets.json", "README.md", "ARCHITECTURE.md",
                          "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"}
# Header prefix -> where it may be included. Tests look from outside and may use any library.
LIBRARY_HOMES = {
    "nlohmann/": ("config/json_reader",),
    "sqlite3": ("storage/sqlite/database",),
    "boost/beast": ("daemon/http/",),
    "openssl/": ("daemon/http/",),
    "zlib.h": ("daemon/http/",),
    "prometheus/": ("daemon/self/instruments",),
    "CLI/": ("daemon/main",),
    "boost/asio": ("daemon/",),
    "re2/": ("daemon/query/",),
    "doctest/": (),
}
# The steps inside a floor, from the bottom: a room includes itself and what stands on a step below. Rooms that stand
# on one step do not include each other. A name with a dot, or without a folder of its own, is a file.
STEPS = {
    "storage": [["storage/store.hpp"], ["storage/codec"], ["storage/sqlite"], ["storage/history"], ["storage"]],
    "daemon": [["daemon/base"], ["daemon/record"], ["daemon/sampling", "daemon/efficiency"], ["daemon/http"],
               ["daemon/self"], ["daemon/families"], ["daemon/query/promql"], ["daemon/query/evaluate"],
               ["daemon/query"], ["daemon/alerts"], ["daemon/alerts/rules"], ["daemon/alerts/notify"],
               ["daemon/alerts/evaluate"], ["daemon/web"], ["daemon/commands"], ["daemon/app"], ["daemon/app_reload"],
               ["daemon/app_housekeeping"], ["daemon/main"]],
}
STEP = {room: step for floor in STEPS.values() for step, rooms in enumerate(floor) for room in rooms}
# What the daemon may know of the storage below its root.
STORAGE_FOR_DAEMON = ("storage/history/history_reader.hpp", "storage/history/export.hpp")
# One definition for each noun: the home, and a mark that only a second one would have, looked for in code with its
# literals and without its comments.
HOMES = {
    "label text": (("collectors/labels",), r'"=\\""'),
    "Labels": (("collectors/labels", "collectors/work/vocabulary"), r"\busing Labels\s*="),
    "JSON string": (("config/text.cpp",), r"\\\\u\{"),
    "JSON body": (("config/json_writer",), r'[{,]\\?"\w+\\?":(?! )'),
    "RFC 3339": (("config/text_time",), r"%Y-|\b(?:timegm|gmtime|strptime|strftime)\b|\{:04\}-\{:02\}-"),
    "duration units": (("config/text.hpp",), r'\{"ms",\s*1\}'),
    "number text": (("config/text_number",), r"\bto_chars\b"),
    "lower case": (("config/text.hpp",), r"'A' \+ 'a'|\btolower\b|\(c \+ 32\)"),
    "extrapolation of a rate": (("daemon/query/evaluate/extrapolate",), r"[*=] ?1\.1\b"),
    "CRC-32": (("storage/codec/checksum",), r"(?i)0xedb88320"),
    "FNV-1a": (("daemon/alerts/notice",), r"(?i)0x100000001b3"),
    "HTML escapes": (("daemon/web/",), r"&amp;"),
}
# Words that only this project used for what the field has other words for. Checked in comments, strings and documents.
WORDS = {
    r"mend(?:s|ed|ing)?": "fix, repair", r"told|tells?": "report, send, say", r"bears?": "carry, have",
    r"wants?": "require, need, expect", r"nobody(?:'s)?|whoever|anybody|everybody|somebody": "name who is meant",
    r"stamps?": "timestamp", r"texts|a text": "string", r"(?<!there )(?:is|are) none": "say what it is not",
    r"the like": "similar", r"fattest": "largest", r"befalls?": "happens to", r"heals?|healed": "recovers",
    r"business": "say what is meant", r"anew": "again", r"rings?(?! buffer)|rang": "wake",
    r"(?:a|one|each|next|last|two) looks?": "discovery, read, check", r"by lot": "at random", r"learnt": "learned",
    r"in vain": "without effect", r"whence|nought|hitherto": "from where, nothing, so far",
}
WORD = re.compile(r"\b(?:" + "|".join(f"(?P<w{n}>{word})" for n, word in enumerate(WORDS)) + r")\b(?!_)")
# Where such a word stays: a key of records that 0.1.0 has written, and a label value of the public contract.
WORDS_KEPT = {("daemon/alerts/notify/incident.cpp", "told"), *((path, "learnt") for path in (
    "daemon/efficiency/gpu_row.cpp", "daemon/efficiency/metrics.hpp", "deploy/metrics.md",
    "tests/unit/daemon/efficiency/gpu_row_test.cpp", "tests/unit/daemon/efficiency/rows_test.cpp"))}
CLOCK_HOMES = ("daemon/base/clock",)
TIMER_HOMES = ("tests/fakes/virtual_clock", "daemon/base/clock", "daemon/http/")
LINES_MAX, TEST_LINES_MAX, COLUMNS_MAX = 400, 600, 120
CPP = (".cpp", ".hpp", ".h", ".def")
DOCUMENTS = (".md", ".in")
CODE = CPP + (".py", ".sh", ".cmake", "CMakeLists.txt")

REASONS = {
    "order": "config <- collectors <- storage <- daemon; no include goes the other way",
    "step": "a room includes what stands on a step below it (STEPS in this file)",
    "room": "a file of storage or daemon lies in a room of STEPS",
    "home": "each noun has one home (HOMES in this file): what is written twice drifts apart",
    "word": "what an engineer of this field would say (WORDS in this file)",
    "twin": "two types of one name in one namespace are one to the linker, which takes the functions of either",
    "map": "ARCHITECTURE.md names every folder that holds code",
    "storage-inside": "the daemon knows the root of storage/, the history's reader and its export",
    "include-path": "a path from the root says which room a header belongs to",
    "driver": "a driver knows collectors/*.hpp, config/*.hpp and its own room, so that it can be taken out",
    "library-home": "each library has one home, so that it can be exchanged in one place",
    "length": f"small rooms: {LINES_MAX} lines of code, {TEST_LINES_MAX} of tests",
    "width": f"lines are read side by side: {COLUMNS_MAX} columns",
    "sleep": "nothing sleeps: time comes from daemon/base/clock, so that tests can drive it",
    "timer": "timers are daemon/base/clock's, on a clock that tests can drive",
    "metric-literal": "a metric is declared once; a name that is spelled twice drifts",
    "leftover": "what is left to do stands in an issue, not in the code",
    "top-level": "the top-level entries are fixed; a new room is a decision of the architecture",
}


class Failure(NamedTuple):
    path: str
    line: int
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: [{self.rule}] {self.what}: {REASONS[self.rule]}"


# Comments, raw strings, strings, characters (not the separators of 100'000).
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|R"([^()\s\\]*)\((?P<raw>.*?)\)\1"|"(?P<text>(?:\\.|[^"\\\n])*)"'
                   r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.DOTALL)


class Literal(NamedTuple):
    at: int
    text: str


def split_cpp(text: str) -> tuple[str, list[Literal]]:
    """The code without comments and contents of literals (same length, same lines), and the string literals."""
    literals = []

    def blank(match: re.Match) -> str:
        content = match["raw"] if match["raw"] is not None else match["text"]
        if content is not None and not include_line(text, match.start()):
            literals.append(Literal(match.start(), content))
        return re.sub(r"[^\n]", " ", match[0])

    return TOKEN.sub(blank, text), literals


def include_line(text: str, at: int) -> bool:
    start = text.rfind("\n", 0, at) + 1
    return text[start:at].lstrip().startswith("#include")


def line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def includes(text: str) -> Iterator[tuple[int, str, bool]]:
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', text, re.MULTILINE):
        yield line_of(text, match.start()), match[2], match[1] == '"'


def room_of(path: str) -> str:
    parts = path.split("/")
    if parts[0] == "tests":  # tests/unit/ROOM links that room and what lies below it
        return parts[2] if len(parts) > 3 and parts[1] == "unit" else "tests"
    return parts[0]


def driver_room(path: str) -> str:
    parts = path.split("/")
    return parts[1] if len(parts) > 2 and parts[0] == "collectors" and parts[1] in DRIVER_ROOMS else ""


def stepped_room(path: str) -> str:
    """The room of STEPS that a file of storage or daemon lies in, "" when it lies in none."""
    for name in (path, os.path.splitext(path)[0], os.path.dirname(path)):
        if name in STEP:
            return name
    return ""


def check_steps(path: str, text: str) -> Iterator[Failure]:
    room = stepped_room(path)
    for line, header, _ in includes(text):
        if path.startswith("daemon/") and header.startswith("storage/"):
            if os.path.dirname(header) != "storage" and header not in STORAGE_FOR_DAEMON:
                yield Failure(path, line, "storage-inside", f"{room or path} includes {header}")
        other = stepped_room(header)
        same_floor = header.split("/")[0] == path.split("/")[0]
        if room and other and same_floor and other != room and STEP[other] >= STEP[room]:
            yield Failure(path, line, "step", f"{room} includes {header}")


def check_room(path: str) -> Iterator[Failure]:
    if path.split("/")[0] in STEPS and not stepped_room(path):
        yield Failure(path, 1, "room", f"{os.path.dirname(path)} is not in STEPS")


def check_homes(path: str, text: str) -> Iterator[Failure]:
    """`text` without comments."""
    if path.startswith("tests/"):
        return
    for noun, (homes, mark) in HOMES.items():
        if path.startswith(homes):
            continue
        for match in re.finditer(mark, text):
            yield Failure(path, line_of(text, match.start()), "home", f"{noun} outside {', '.join(homes)}")


def words_in(path: str, line: int, text: str) -> Iterator[Failure]:
    for match in WORD.finditer(text):
        if (path, match[0]) not in WORDS_KEPT:
            instead = WORDS[list(WORDS)[int(match.lastgroup[1:])]]
            yield Failure(path, line + text.count("\n", 0, match.start()), "word", f"\"{match[0]}\": {instead}")


PROSE = re.compile(r'#[^\n]*|"""(?:.|\n)*?"""|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'')  # of Python, shell and CMake


def check_words(path: str, text: str) -> Iterator[Failure]:
    """Comments and strings of code, all of a document."""
    if path == "tests/layout_test.py" or path.startswith(("tests/fixtures/", "tests/golden/", "tests/fuzz/promql.")):
        return
    if path.endswith(DOCUMENTS):
        yield from words_in(path, 1, text)
        return
    for match in (TOKEN if path.endswith(CPP) else PROSE).finditer(text):
        yield from words_in(path, line_of(text, match.start()), match[0])


def without_comments(text: str) -> str:
    return TOKEN.sub(lambda match: re.sub(r"[^\n]", " ", match[0]) if match[0].startswith("/") else match[0], text)


def check_map(files: dict[str, str]) -> Iterator[Failure]:
    """Every folder with code, by its path and a slash: `daemon/query/promql/`."""
    if "ARCHITECTURE.md" not in files:
        return
    folders = {os.path.dirname(path) for path in files if path.endswith((".cpp", ".hpp", ".c", ".h"))}
    folders -= {folder for folder in folders if folder.startswith(("tests/unit/", "tests/fixtures/"))}
    for folder in sorted(folders - {""}):
        if f"`{folder}/`" not in files["ARCHITECTURE.md"]:
            yield Failure("ARCHITECTURE.md", 1, "map", f"{folder}/ is missing")


def check_twins(files: dict[str, str]) -> Iterator[Failure]:
    """Types that headers define, by namespace and name."""
    homes: dict[str, str] = {}
    for path, text in sorted(files.items()):
        if room_of(path) not in ROOMS or not path.endswith(".hpp"):
            continue
        namespace = ""
        for number, line in enumerate(split_cpp(text)[0].splitlines(), 1):
            if opened := re.match(r"namespace ([\w:]+) \{", line):
                namespace = opened[1]
            defined = re.match(r"(?:class|struct|enum class) (\w+)\b(?!::|.*;\s*$)", line)
            if not defined:
                continue
            name = f"{namespace}::{defined[1]}"
            if name in homes:
                yield Failure(path, number, "twin", f"{name} is also in {homes[name]}")
            homes.setdefault(name, path)


def check_includes(path: str, text: str) -> Iterator[Failure]:
    in_tests = path.startswith("tests/")
    room = room_of(path)
    for line, header, quoted in includes(text):
        target = header.split("/")[0]
        if quoted and target not in ROOMS + ["tests"] and not (path.startswith("daemon/") and header == "revision.hpp"):
            yield Failure(path, line, "include-path", f"\"{header}\" is no path from the root")
        if target in ROOMS and room in ROOMS and ROOMS.index(target) > ROOMS.index(room):
            yield Failure(path, line, "order", f"{room} includes {header}")
        if target == "tests" and not in_tests:
            yield Failure(path, line, "order", f"{room} includes {header}")
        other = driver_room(header)
        below_daemon = room in ("collectors", "storage") and not in_tests
        if other and below_daemon and other != driver_room(path):
            yield Failure(path, line, "driver", f"{header} is a driver's header")
        for prefix, homes in LIBRARY_HOMES.items():
            if not in_tests and header.startswith(prefix) and not path.startswith(homes):
                yield Failure(path, line, "library-home", f"<{header}> outside {', '.join(homes) or 'tests/'}")


def check_calls(path: str, code: str) -> Iterator[Failure]:
    if not path.startswith(CLOCK_HOMES):
        for match in re.finditer(r"\b(?:sleep_for|sleep_until|usleep|nanosleep|sleep(?=\s*\())\b", code):
            yield Failure(path, line_of(code, match.start()), "sleep", match[0])
    if not path.startswith(TIMER_HOMES):
        for match in re.finditer(r"\b(?:steady_timer|system_timer|high_resolution_timer|deadline_timer)\b", code):
            yield Failure(path, line_of(code, match.start()), "timer", match[0])


MAKER = re.compile(r"\b(?:gauge|counter|persisted_counter)\s*<[^<>;()]*>\s*\(\s*$")


def check_literals(path: str, code: str, literals: list[Literal]) -> Iterator[Failure]:
    if path.startswith("tests/"):
        return
    for literal in literals:
        if path.startswith("daemon/web/"):
            name = re.search(r"\bperjoule_[a-z0-9_]+", literal.text)
        else:
            name = re.fullmatch(r"(perjoule_[a-z0-9_]+)(?:\{.*)?", literal.text, re.DOTALL)
        if name and not MAKER.search(code[:literal.at]):
            yield Failure(path, line_of(code, literal.at), "metric-literal", f"\"{name[0]}\" outside its declaration")


LEFTOVER = re.compile(r"\b(?:" + "|".join(["TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK"]) + r")\b")


def check_text(path: str, text: str) -> Iterator[Failure]:
    lines = text.splitlines()
    limit = TEST_LINES_MAX if path.startswith("tests/") else LINES_MAX
    if len(lines) > limit:
        yield Failure(path, limit + 1, "length", f"{len(lines)} lines")
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            yield Failure(path, number, "width", f"{len(line)} columns")
        leftover = LEFTOVER.search(line)
        if leftover:
            yield Failure(path, number, "leftover", leftover[0])


def check_top_level(paths: list[str]) -> Iterator[Failure]:
    for entry in sorted({path.split("/")[0] for path in paths}):
        if entry not in TOP_LEVEL and not entry.startswith("."):
            yield Failure(entry, 1, "top-level", "an entry that is not on the list")


def check(files: dict[str, str]) -> list[Failure]:
    failures = list(check_top_level(list(files))) + list(check_map(files)) + list(check_twins(files))
    for path, text in sorted(files.items()):
        if path.endswith(CODE):
            failures += check_text(path, text)
        if path.endswith(CODE + DOCUMENTS):
            failures += check_words(path, text)
        if path.endswith(CPP):
            code, literals = split_cpp(text)
            # An include in a comment is none: look only where its line begins in code.
            lines = zip(text.split("\n"), code.split("\n"))
            live = "\n".join(raw if kept.lstrip().startswith("#") else "" for raw, kept in lines)
            failures += check_includes(path, live)
            failures += check_steps(path, live)
            failures += check_room(path)
            failures += check_homes(path, without_comments(text))
            failures += check_calls(path, code)
            failures += check_literals(path, code, literals)
    return failures


def list_files(root: str) -> list[str]:
    git = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                         capture_output=True, check=False)
    if git.returncode == 0:
        return sorted({os.fsdecode(name) for name in git.stdout.split(b"\0") if name})
    found = []  # an unpacked archive: everything but build outputs
    for folder, folders, names in os.walk(root):
        here = os.path.relpath(folder, root)
        if here == ".":
            folders[:] = [name for name in folders if name not in ("build", ".perjoule", ".cache", ".git")]
        folders[:] = [name for name in folders if name != "__pycache__"]
        found += [os.path.normpath(os.path.join(here, name)) for name in names]
    return sorted(found)


def read_tree(root: str) -> dict[str, str]:
    files = {}
    for path in list_files(root):
        full = os.path.join(root, path)
        if not os.path.isfile(full):
            continue  # deleted, not yet committed
        text = ""
        if path.endswith(CODE + DOCUMENTS):
            with open(full, encoding="utf-8", errors="replace") as stream:
                text = stream.read()
        files[path] = text
    return files


# Rule, path, text, line that has to be named.
VIOLATIONS = [
    ("order", "config/a.hpp", '#include "collectors/batch.hpp"\n', 1),
    ("order", "collectors/a.cpp", '#include <map>\n#include "storage/sink.hpp"\n', 2),
    ("order", "storage/a.cpp", '#  include "daemon/app.hpp"\n', 1),
    ("order", "daemon/a.cpp", '#include "tests/fakes/clock.hpp"\n', 1),
    ("order", "tests/unit/config/a_test.cpp", '#include "daemon/app.hpp"\n', 1),
    ("include-path", "collectors/a.cpp", '#include "batch.hpp"\n', 1),
    ("include-path", "collectors/a.cpp", '#include "../config/options.hpp"\n', 1),
    ("room", "daemon/clock.cpp", "int a;\n", 1),
    ("room", "storage/engine/a.hpp", "int a;\n", 1),
    ("home", "daemon/record/a.cpp", '\nauto at = text.find("=\\"");\n', 2),
    ("home", "daemon/record/a.hpp", "using Labels = std::map<std::string, std::string>;\n", 1),
    ("home", "daemon/web/a.cpp", 'out += fmt::format("\\\\u{:04x}", c);\n', 1),
    ("home", "daemon/web/a.cpp", 'out += R"(,"value":)";\n', 1),
    ("home", "daemon/web/a.cpp", 'out += "{\\"value\\":";\n', 1),
    ("home", "storage/a.cpp", 'fmt::format("{:%Y-%m-%d}", fmt::gmtime(t));\n', 1),
    ("home", "daemon/query/a.cpp", 'Unit units[] = {{"s", 1000}, {"ms", 1}};\n', 1),
    ("home", "daemon/query/a.cpp", "std::to_chars(a, b, 0.5);\n", 1),
    ("home", "collectors/a.cpp", "c = static_cast<char>(c - 'A' + 'a');\n", 1),
    ("home", "daemon/alerts/evaluate/a.cpp", "const double near = spacing * 1.1;\n", 1),
    ("home", "storage/history/a.cpp", "crc = 0xEDB88320U ^ crc;\n", 1),
    ("home", "daemon/query/a.cpp", "hash *= 0x100000001b3ULL;\n", 1),
    ("home", "daemon/http/a.cpp", 'out += "&amp;";\n', 1),
    ("map", "daemon/record/a.cpp", "", 1),
    ("word", "daemon/app.cpp", "int a;  // nobody's business\n", 1),
    ("word", "daemon/app.cpp", 'refuse("expected a text");\n', 1),
    ("word", "README.md", "\nIt says what mends it.\n", 2),
    ("word", "tests/run.sh", "# a stage is told once\n", 1),
    ("word", "tests/soak/a.py", 'check("the stamp is right")\n', 1),
    ("storage-inside", "daemon/app.cpp", '#include "storage/history/sqlite_store.hpp"\n', 1),
    ("storage-inside", "daemon/record/a.cpp", '#include "storage/codec/chunk.hpp"\n', 1),
    ("driver", "collectors/work/a.cpp", '#include "collectors/thermal/metrics.hpp"\n', 1),
    ("driver", "collectors/registry.cpp", '#include "collectors/gpu/nvml_api.hpp"\n', 1),
    ("driver", "storage/a.cpp", '#include "collectors/power/metrics.hpp"\n', 1),
    ("library-home", "config/settings.cpp", "#include <nlohmann/json.hpp>\n", 1),
    ("library-home", "storage/sqlite/schema.cpp", "#include <sqlite3.h>\n", 1),
    ("library-home", "daemon/app.cpp", "#include <boost/beast/http.hpp>\n", 1),
    ("library-home", "daemon/web/a.cpp", "#include <openssl/ssl.h>\n", 1),
    ("library-home", "daemon/web/a.cpp", "#include <zlib.h>\n", 1),
    ("library-home", "daemon/app.cpp", "#include <prometheus/counter.h>\n", 1),
    ("library-home", "daemon/app.cpp", "#include <CLI/CLI.hpp>\n", 1),
    ("library-home", "storage/writer.cpp", "#include <boost/asio/post.hpp>\n", 1),
    ("library-home", "daemon/app.cpp", "#include <re2/re2.h>\n", 1),
    ("library-home", "daemon/app.cpp", "#include <doctest/doctest.h>\n", 1),
    ("length", "daemon/a.cpp", "\n" * 401, 401),
    ("length", "tests/unit/daemon/a_test.cpp", "\n" * 601, 601),
    ("width", "daemon/a.cpp", "\n// " + "x" * 118 + "\n", 2),
    ("sleep", "tests/unit/daemon/a_test.cpp", "void f() { std::this_thread::sleep_for(t); }\n", 1),
    ("sleep", "daemon/a.cpp", "void f() {\n  ::sleep (1);\n}\n", 2),
    ("sleep", "storage/a.cpp", "void f() { usleep(1); }\n", 1),
    ("sleep", "storage/a.cpp", "void f() { sleep_until(t); }\n", 1),
    ("timer", "daemon/sampling/sampler.cpp", "asio::steady_timer timer;\n", 1),
    ("timer", "daemon/web/a.cpp", "asio::system_timer timer;\n", 1),
    ("metric-literal", "daemon/a.cpp", 'auto x = find(\n  "perjoule_gpus");\n', 2),
    ("metric-literal", "daemon/a.cpp", 'auto x = find("perjoule_gpus{gpu=\\"0\\"}");\n', 1),
    ("metric-literal", "daemon/web/page.cpp", 'auto x = R"(\n<p>perjoule_gpus</p>)";\n', 1),
    ("leftover", "daemon/a.cpp", "// " + "TO" + "DO later\n", 1),
    ("leftover", "deploy/a.sh", "# " + "FIX" + "ME\n", 1),
    ("leftover", "daemon/a.hpp", "/* " + "X" + "XX */\n", 1),
    ("leftover", "CMakeLists.txt", "# " + "HA" + "CK\n", 1),
    ("twin", "daemon/http/a.hpp", "namespace a::b {\nclass C {\n};\nstruct C : D {\n};\n}\n", 4),
    ("top-level", "source/a.cpp", "", 1),
]



def header_in(room: str) -> str:
    if room.endswith(".hpp"):
        return room
    return f"{room}.hpp" if room in ("daemon/families", "daemon/app", "daemon/main") else f"{room}/x.hpp"


def planted_steps() -> Iterator[tuple[str, str, str, int]]:
    """For each room an include of the next step and of its neighbours."""
    for floor in STEPS.values():
        for step, rooms in enumerate(floor):
            for room in rooms:
                others = [other for other in rooms if other != room] + (floor[step + 1] if floor[step + 1:] else [])
                for other in others:
                    yield "step", header_in(room), f'#include "{header_in(other)}"\n', 1


def planted_words() -> Iterator[tuple[str, str, str, int]]:
    for words in WORDS:
        for word in re.sub(r"\(\?[:!][^()]*\)\??", "", words).replace("?", "").split("|"):
            if word and WORD.fullmatch(word):
                yield "word", "daemon/app.cpp", f"// It is {word} here.\n", 1


VIOLATIONS += planted_steps()
VIOLATIONS += planted_words()

CLEAN = {
    ".clang-format": "", "README.md": "x" * 500, "deploy/grafana/board.json": "x" * 500, "LICENSE": "",
    "config/json_reader.cpp": "#include <nlohmann/json.hpp>\n",
    "collectors/work/a.cpp": '#include "collectors/work/metrics.hpp"\n#include "collectors/batch.hpp"\n'
                             '#include "config/options.hpp"\n// "perjoule_gpus", sleep(1), steady_timer\n'
                             'auto a = "see perjoule_gpus"; int n = 100\'000; char c = \'"\';\n',
    "collectors/work/metrics.hpp": 'constexpr auto x = gauge<Unit::watt>(\n    "perjoule_x_watts", "Help.");\n'
                                   'constexpr auto y = persisted_counter<Unit::none>("perjoule_y_total", "Help.");\n',
    "daemon/base/clock.cpp": "asio::steady_timer t; void f() { std::this_thread::sleep_for(x); }\n",
    "daemon/http/server.cpp": "#include <boost/beast/core.hpp>\n#include <zlib.h>\nasio::steady_timer t;\n",
    "daemon/http/a.hpp": "namespace a::b {\nclass C;\nclass C {\n};\n}\nnamespace a::d {\nclass C {\n};\n}\n",
    "daemon/self/build.cpp": '#include "revision.hpp"\n#include "collectors/gpu/metrics.hpp"\n'
                        "#include <boost/asio/post.hpp>\n",
    "daemon/app.cpp": '// #include "tests/x.hpp"\n/*\n#include "x.hpp"\n*/\nauto a = "steady_timer";\n'
                    'int asleep(int); auto b = mkdtemp("a_XXXXXX");\n',
    "storage/sqlite/database.cpp": "#include <sqlite3.h>\n" + "\n" * 399,
    "tests/unit/daemon/a_test.cpp": '#include <doctest/doctest.h>\n#include "daemon/a.hpp"\n'
                                    'auto a = "perjoule_gpus";\n',
}


def self_test() -> int:
    wrong = [f"clean tree: {failure}" for failure in check(CLEAN)]
    for rule, path, text, line in VIOLATIONS:
        found = check({path: text, "ARCHITECTURE.md": ""} if rule == "map" else {path: text})
        place = {"top-level": path.split("/")[0], "map": "ARCHITECTURE.md"}.get(rule, path)
        if not any((failure.rule, failure.path, failure.line) == (rule, place, line) for failure in found):
            wrong.append(f"not reported: [{rule}] in {path}:{line}, found {[str(failure) for failure in found]}")
    tested = {violation[0] for violation in VIOLATIONS}
    wrong += [f"no violation tests the rule {rule}" for rule in REASONS.keys() - tested]
    for message in wrong:
        print(message)
    print(f"{len(VIOLATIONS)} violations of {len(REASONS)} rules, {len(wrong)} wrong")
    return 1 if wrong else 0


def main() -> int:
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if sys.argv[1:]:
        print(__doc__)
        return 2
    files = read_tree(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    failures = check(files)
    for failure in failures:
        print(failure)
    print(f"{len(files)} files, {len(failures)} failures")
    return 1 if failures or not files else 0


if __name__ == "__main__":
    sys.exit(main())
