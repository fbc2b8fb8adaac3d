#!/usr/bin/env python3
"""The tested binary is the one that users get: it has what deploy/cmake/hardening.cmake asks for, and its sources were
compiled as deploy/quickstart.sh compiles them."""
import json
import os
import re
import shutil
import sys

from harness import REPOSITORY, Skip, check, equal, main, run

ENDBR64 = b"\xf3\x0f\x1e\xfa"  # marks where an indirect jump may arrive; crt1.o alone has a few
ENDBR64_MIN = 1000
ALL = {"PIE", "RELRO", "BIND_NOW", "stack that is not executable", "stack protector", "FORTIFY",
       "glibcxx assertions", "CET"}


def missing(path):
    """The names of what the binary lacks."""
    if not shutil.which("readelf"):
        raise Skip("needs readelf")
    text = run(["readelf", "--wide", "--file-header", "--program-headers", "--dynamic", "--dyn-syms", path],
               installed_file=True).stdout
    symbols = set(re.findall(r"\bUND\s+([^\s@]+)", text))
    # libstdc++ 12 and later: an assertion calls this function.
    asserts = {name for name in symbols if "__glibcxx_assert_fail" in name}
    found = {
        "PIE": re.search(r"^\s*Type:\s+DYN", text, re.M) and re.search(r"\(FLAGS_1\).*\bPIE\b", text),
        "RELRO": re.search(r"^\s*GNU_RELRO\b", text, re.M),
        "BIND_NOW": re.search(r"\(FLAGS\).*\bBIND_NOW\b|\(FLAGS_1\).*\bNOW\b", text),
        "stack that is not executable": re.search(r"^\s*GNU_STACK\s.*\bRW \s", text, re.M),
        "stack protector": "__stack_chk_fail" in symbols,
        "FORTIFY": {name for name in symbols if re.fullmatch(r"__\w+_chk", name)},
        "glibcxx assertions": asserts,
        "CET": "X86-64" not in text or path.read_bytes().count(ENDBR64) >= ENDBR64_MIN,
    }
    equal(set(found), ALL, "what is looked for")
    return {name for name, there in found.items() if not there}


def perjouled(binary, _):
    equal(missing(binary), set(), "missing in perjouled")


def flags_of(build):
    """The flags of every source file in a build tree, but for debug information and the tree's own paths."""
    flags = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        words = entry["command"].split()
        del words[words.index("-o"):words.index("-o") + 2]
        flags[entry["file"]] = [word for word in words if not word.startswith(("-g", f"-I{build}/"))]
    return flags


def compiled_as_for_users(binary, directory):
    """g++ reports other warnings at another optimisation, and all of them are errors. Without this, a build that only
    users make could fail unnoticed."""
    tested = binary.parent
    if not (tested / "compile_commands.json").exists():
        raise Skip(f"{binary} is in no build tree")
    released = directory / "release"
    ended = run(["cmake", "--preset", "release", "-S", REPOSITORY, "-B", released], seconds=60, cwd=REPOSITORY)
    equal(ended.returncode, 0, f"cmake: {ended.stdout}{ended.stderr}")
    ours, theirs = flags_of(tested), flags_of(released)
    check(len(theirs) > 100 and all(path.startswith(str(REPOSITORY)) for path in theirs), f"{len(theirs)} files")
    for path, flags in theirs.items():
        equal(ours.get(path), flags, f"flags of {path}")
    check("-Werror" in flags and "-O2" in flags, flags)


def a_bare_program(_, directory):
    """The check itself: a program without any of it lacks all of it."""
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if not compiler:
        raise Skip("needs g++")
    source, bare = directory / "bare.cpp", directory / "bare"
    source.write_text("#include <vector>\nint main(int argc, char**) { return std::vector<int>(argc)[0]; }\n")
    flags = ["-O0", "-no-pie", "-fno-stack-protector", "-U_FORTIFY_SOURCE", "-U_GLIBCXX_ASSERTIONS", "-z", "norelro",
             "-z", "lazy", "-z", "execstack"]
    ended = run([compiler, *flags, source, "-o", bare], seconds=60)
    equal(ended.returncode, 0, ended.stderr)
    lacks = missing(bare)
    check(lacks == ALL or lacks == ALL - {"CET"}, f"found in a bare program: {ALL - lacks}")


if __name__ == "__main__":
    sys.exit(main([perjouled, compiled_as_for_users, a_bare_program]))
