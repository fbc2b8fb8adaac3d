#!/usr/bin/env python3
"""Gives the golden scrapes to strangers' parsers: promtool for the text format, prometheus_client for OpenMetrics.

exposition_lint.py     checks every *.txt beside it; a tool that is not installed is named and left out

Whatever is installed, no two lines may share name and labels, and each family stands in one block under one header.
"""
import pathlib
import shutil
import subprocess
import sys

try:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
except ImportError:
    text_string_to_metric_families = None


def check_lines(text: str) -> list[str]:
    errors, series, families = [], set(), set()
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("# TYPE "):
            family = line.split(" ")[2]
            if family in families:
                errors.append(f"{number}: a second header of {family}")
            families.add(family)
        elif not line.startswith("#"):
            name = line.rpartition(" ")[0]
            if name in series:
                errors.append(f"{number}: {name} a second time")
            series.add(name)
    if not series:
        errors.append("0: no series at all")
    return errors


def check_text(text: str) -> list[str]:
    if shutil.which("promtool") is None:
        print("promtool is not installed: text format not checked by it")
        return []
    result = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    said = (result.stdout + result.stderr).strip()
    return [f"promtool: {said or result.returncode}"] if said or result.returncode != 0 else []


def check_openmetrics(text: str) -> list[str]:
    if text_string_to_metric_families is None:
        print("python3-prometheus-client is not installed: OpenMetrics not checked by it")
        return []
    try:
        return [] if list(text_string_to_metric_families(text)) else ["prometheus_client found no family"]
    except ValueError as error:
        return [f"prometheus_client: {error}"]


def main() -> int:
    paths = sorted(pathlib.Path(__file__).parent.glob("*.txt"))
    failed = not paths
    for path in paths:
        text = path.read_text(encoding="utf-8")
        check = check_openmetrics if path.name.endswith(".openmetrics.txt") else check_text
        for error in check_lines(text) + check(text):
            failed = True
            print(f"{path}:{error}")
    print(f"{len(paths)} scrapes", "failed" if failed else "are well-formed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
