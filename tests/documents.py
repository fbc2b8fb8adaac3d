#!/usr/bin/env python3
"""Checks that the complete examples of CONTRIBUTING.md compile, and that every file the documents link to exists.

A ```cpp block whose first line names a file ("// collectors/...") is a complete source file and is compiled; the other
blocks are excerpts.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
UNIT = re.compile(r"^```cpp\n// ((?:collectors|tests)/\S+\.cpp)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
FLAGS = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion",
         "-Wshadow", "-Wold-style-cast", "-Werror", f"-I{ROOT}", f'-DPERJOULE_SOURCE_DIR="{ROOT}"']


def main():
    failures = 0
    units = UNIT.findall((ROOT / "CONTRIBUTING.md").read_text())
    if len(units) < 2:
        print(f"CONTRIBUTING.md: found {len(units)} complete examples, expected the collector and its test")
        failures += 1
    with tempfile.TemporaryDirectory() as directory:
        for name, text in units:
            file = pathlib.Path(directory) / pathlib.Path(name).name
            file.write_text(text)
            if subprocess.run(["g++", *FLAGS, str(file)]).returncode != 0:
                print(f"CONTRIBUTING.md: {name} does not compile")
                failures += 1
    links = 0
    for document in sorted([*ROOT.glob("*.md"), *ROOT.glob("deploy/**/*.md"), *ROOT.glob("tests/**/*.md")]):
        for target in LINK.findall(document.read_text()):
            links += 1
            if not (document.parent / target).exists():
                print(f"{document.relative_to(ROOT)}: the link target {target} does not exist")
                failures += 1
    print(f"documents: {len(units)} examples, {links} links, {failures} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
