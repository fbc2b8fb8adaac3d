#!/usr/bin/env python3
"""Writes the manual pages: the templates PAGE.in, filled with the commands and keys that perjouled itself prints.

    write.py PERJOULED PAGE     PAGE is perjouled.8 or perjoule.json.5; to stdout
"""
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def escape(text):
    """Escapes what roff would interpret: backslash, hyphen, quote, and a dot or apostrophe at the start of a line."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return "\\&" + text if text.startswith((".", "'")) else text


def said_by(binary, *words):
    return subprocess.run([binary, *words], check=True, capture_output=True, text=True).stdout


def entries(text, heading):
    """(name, description) of each entry below a heading of --help: two blanks, then the description in its column."""
    section = re.search(rf"^{heading}:\n((?:  .*\n)+)", text, re.MULTILINE)
    found = re.findall(r"^  (\S+(?: \S+)*)((?:  +\S.*)?(?:\n {10,}.*)*)$", section[1] if section else "", re.MULTILINE)
    return [(name, " ".join(what.split())) for name, what in found]


def commands(binary):
    lines = []
    for call, what in entries(said_by(binary, "--help"), "Commands"):
        name, *argument = call.split()
        lines += [f".TP\n.B {escape(' '.join([name, *argument]))}\n{escape(what)}"]
        own = entries(said_by(binary, name, "--help"), "Options")
        options = [f".TP\n.B {escape(option)}\n{escape(meaning)}" for option, meaning in own]
        lines += [".RS", *options, ".RE"] if options else []
    return "\n".join(lines)


def rows(binary):
    """The rows of `describe keys` as dictionaries, by the names in its header row."""
    table = said_by(binary, "describe", "keys")
    cells = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
             for line in table.splitlines() if line.startswith("|")]
    return [dict(zip(cells[0], (cell.strip("`") for cell in row))) for row in cells[2:]]


def option(row):
    flag = row["Flag"]
    if flag.startswith("--[no-]"):
        shown = f".B {escape(flag)}"
    else:
        shown = f".BI {escape(flag)}= {row['Type'].split()[0].upper()}"
    lists = ("list of strings", "object of strings", "list of URLs and objects")
    repeated = " May be repeated." if row["Type"] in lists else ""
    return f".TP\n{shown}\n{escape(row['Meaning'])}{repeated} Default: {escape(row['Default'])}."


def key(row):
    allowed = f" Allowed: {escape(row['Allowed'])}." if row["Allowed"] else ""
    return (f".TP\n.BR {escape(row['Key'])} \" ({row['Type']}, default {escape(row['Default'])})\"\n"
            f"{escape(row['Meaning'])}{allowed} Environment: {escape(row['Environment'])}.")


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in ("perjouled.8", "perjoule.json.5"):
        print(__doc__, file=sys.stderr)
        return 2
    binary, page = sys.argv[1:]
    name, section = page.rsplit(".", 1)
    table = rows(binary)
    text = (HERE / f"{page}.in").read_text()
    text = text.replace("@COMMANDS@", commands(binary)).replace("@OPTIONS@", "\n".join(map(option, table)))
    text = text.replace("@KEYS@", "\n".join(map(key, table)))
    preprocessor = "'\\\" t\n" if "\n.TS\n" in text else ""
    comment = '.\\" Written by deploy/man/write.py; change PAGE.in beside it, or the table of keys (config/keys.cpp).\n'
    print(f"{preprocessor}{comment}.TH {name.upper()} {section} \"\" perjoule\n{text}", end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
