#!/usr/bin/env python3
"""clang-tidy over the rooms, as .clang-tidy says.

A unit that was clean is skipped until its code, that of a project header that it includes, its compiler flags,
.clang-tidy or clang-tidy itself changes; comments count only where they hold a NOLINT. A hash of all these is its
state; clean states are known from two places:
  ~/.cache/perjoule-tidy    one empty file per state that was clean on this machine
  tests/tidy.clean          the states of the last change that ran --record, so that a fresh machine checks only what
                            differs from it; tests/soak/tidy.sh checks everything

    tests/tidy.py [--jobs N] [--all] [--record] [FILE...]

FILE...: only these units; else every unit of config, collectors, storage and daemon. --all: also units whose state is
known to be clean. --record: writes tests/tidy.clean, if nothing was found.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/tidy"
# Outside the build folder, as ccache is: a fresh clone of a tree that was clean is clean.
CLEAN = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "perjoule-tidy"
RECORD = ROOT / "tests/tidy.clean"
TOOL = "clang-tidy-19"
ROOMS = ("config", "collectors", "storage", "daemon")
# The analyzer reports what is not so inside Asio's awaitable; Asio lives in daemon/ alone.
ANALYZER = "--checks=clang-analyzer-core.*,clang-analyzer-cplusplus.*,clang-analyzer-deadcode.*,clang-analyzer-unix.*"
KEPT_SECONDS = 60 * 24 * 3600
# Strings come first, so that "//" inside one is not a comment.
STRING_OR_COMMENT = re.compile(rb'R"([^()\s\\]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|//[^\n]*', re.DOTALL)
INCLUDE = re.compile(rb'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def output_of(command):
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout


def arguments(unit):
    return [] if unit["path"].parts[0] == "daemon" else [ANALYZER]


def units_of_the_rooms():
    output_of(["cmake", "--preset", "tidy"])
    output_of(["cmake", "--build", BUILD, "--target", "perjoule_revision"])
    units = []
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        file = pathlib.Path(entry["file"])
        if not file.is_relative_to(ROOT):
            continue
        path = file.relative_to(ROOT)
        if path.parts[0] in ROOMS:
            units.append({"path": path, "command": entry["command"]})
    return units


def with_includes(path, seen):
    """The file and every project file that it includes, directly or not."""
    if path in seen or not (ROOT / path).is_file():
        return
    seen.add(path)
    for name in INCLUDE.findall((ROOT / path).read_bytes()):
        with_includes(pathlib.Path(os.fsdecode(name)), seen)


def code_of(path):
    """The file without its // comments, except those with a NOLINT, and without empty lines."""
    def kept(match):
        return b"" if match[0].startswith(b"//") and b"NOLINT" not in match[0] else match[0]
    lines = STRING_OR_COMMENT.sub(kept, (ROOT / path).read_bytes()).splitlines()
    return b"\n".join(line.rstrip() for line in lines if line.strip())


def state(unit, common):
    files = set()
    with_includes(unit["path"], files)
    digest = hashlib.sha256(common)
    command = re.sub(r"^\S*ccache ", "", unit["command"]).replace(str(ROOT), "")
    for text in [command, *arguments(unit)]:
        digest.update(text.encode() + b"\0")
    for path in sorted(files):
        digest.update(str(path).encode() + b"\0" + hashlib.sha256(code_of(path)).digest())
    return digest.hexdigest()


def check(unit):
    command = [TOOL, "-p", str(BUILD), "--quiet", *arguments(unit), str(unit["path"])]
    result = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if result.returncode == 0:
        (CLEAN / unit["state"]).touch()
        return True
    # stderr only counts warnings in system headers, unless clang-tidy itself failed.
    print(result.stdout or result.stderr, end="", flush=True)
    return False


def recorded():
    """The state of each unit in tests/tidy.clean, which has lines "STATE PATH"."""
    lines = RECORD.read_text().splitlines() if RECORD.exists() else []
    return {line.split()[0] for line in lines}


def record(units):
    # 64 bits of a hash are enough for a few hundred states.
    lines = [f"{unit['state'][:16]} {unit['path']}\n" for unit in sorted(units, key=lambda unit: unit["path"])]
    RECORD.write_text("".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    wanted = {pathlib.Path(file).resolve().relative_to(ROOT) for file in options.files}

    units = units_of_the_rooms()
    if not units:
        sys.exit("tidy: the build knows no unit of the rooms; nothing was checked")
    CLEAN.mkdir(parents=True, exist_ok=True)
    common = output_of([TOOL, "--version"]) + (ROOT / ".clang-tidy").read_bytes()
    for unit in units:
        unit["state"] = state(unit, common)
    for stamp in CLEAN.iterdir():
        if time.time() - stamp.stat().st_mtime > KEPT_SECONDS:
            stamp.unlink()

    unknown = wanted - {unit["path"] for unit in units}
    if unknown:
        sys.exit(f"tidy: no unit of the build: {', '.join(map(str, sorted(unknown)))}")
    chosen = [unit for unit in units if not wanted or unit["path"] in wanted]
    known = recorded()
    due = [unit for unit in chosen
           if options.all or not ((CLEAN / unit["state"]).exists() or unit["state"][:16] in known)]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        bad = list(pool.map(check, due)).count(False)
    print(f"tidy: {len(chosen)} units, {len(chosen) - len(due)} unchanged, {len(due)} checked, {bad} with findings")
    if options.record and not bad and len(chosen) == len(units):
        record(units)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
