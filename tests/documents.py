#!/usr/bin/env python3
"""The worked examples of CONTRIBUTING.md compile, and what the documents link to in this repository exists.

An example that names its file in its first line (```cpp, then "// collectors/...") is a whole unit; the others are
excerpts.
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
         "-Wshadow",
         "-Wold-style-cast", "-Werror", f"-I{ROOT}", f'-DPERJOULE_SOURCE_DIR="{ROOT}"']


def main():
    failures = 0
    units = UNIT.findall((ROOT / "CONTRIBUTING.md").read_text())
    if len(units) < 2:
        print("CONTRIBUTING.md: the worked example and its test are not where this looks for them")
        failures += 1
    with tempfile.TemporaryDirectory() as directory:
        for name, text in units:
            file = pathlib.Path(directory) / pathlib.Path(name).name
            file.write_text(text)
            if subprocess.run(["g++", *FLAGS, str(file)]).returncode != 0:
                print(f"CONTRIBUTING.md: {name} does not compile")
                failures += 1
    links = 0
    for document in sorted(ROOT.glob("*.md")):
        for target in LINK.findall(document.read_text()):
            links += 1
            if not (document.parent / target).exists():
                print(f"{document.name}: {target} is not there")
                failures += 1
    print(f"documents: {len(units)} examples, {links} links, {failures} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
