#!/usr/bin/env python3
"""Checks that the rules translated to PromQL behave like the daemon's evaluator: runs the scenarios of
tests/fixtures/alerts, which the unit tests run through the evaluator, through `promtool test rules`, and compares what
fires at every step. scenarios.json is for the nineteen example rules, defaults.json for the default rules.

alerts_promtool.py PERJOULED           checks the nineteen example rules, and the shipped rules with their tests
alerts_promtool.py PERJOULED --keep D  the same, and keeps the generated files in directory D
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
FIXTURES = REPOSITORY / "tests/fixtures/alerts"
SECONDS = {"s": 1, "m": 60, "h": 3600}


def expand(text):
    """Converts `7*3 +1*2 stale*2` to promtool's list of samples."""
    samples, last = [], 0.0
    for token in text.split():
        what, count = token.rsplit("*", 1)
        for i in range(int(count)):
            if what == "stale":
                samples.append("stale" if i == 0 else "_")
                continue
            last = last + float(what[1:]) if what[0] == "+" else float(what)
            samples.append(repr(last))
    return samples


def scenario_text(scenario, rules):
    step = int(scenario["step"][:-1]) * SECONDS[scenario["step"][-1]]
    series = {name: expand(values) for name, values in scenario["series"].items()}
    steps = max(map(len, series.values()))
    lines = [f"rule_files: ['{rules}']", f"evaluation_interval: {step}s", "tests:", f"  - interval: {step}s",
             f"    name: {json.dumps(scenario['name'])}", "    input_series:"]
    for name, samples in series.items():
        lines += [f"      - series: '{name}'", f"        values: '{' '.join(samples)}'"]
    lines.append("    promql_expr_test:")
    for number in range(steps):
        firing = {}
        for severity, begin, end in scenario["fires"]:
            if begin <= number < end:
                firing[severity] = firing.get(severity, 0) + 1
        lines.append(f"      - expr: 'count by (severity) (ALERTS{{alertname=\"{scenario['alert']}\", "
                     "alertstate=\"firing\"})'")
        lines.append(f"        eval_time: {number * step}s")
        lines.append("        exp_samples:" + ("" if firing else " []"))
        for severity, count in sorted(firing.items()):
            lines += [f"          - labels: '{{severity=\"{severity}\"}}'", f"            value: {count}"]
    return "\n".join(lines) + "\n"


def promtool(*words):
    result = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        print(f"promtool {' '.join(map(str, words))}\n{(result.stdout + result.stderr)[:20000]}")
    return result.returncode == 0


def play(binary, directory):
    good = play_file(directory, translated_nineteen(binary, directory), "scenarios.json")
    shutil.copy(REPOSITORY / "deploy/prometheus/perjoule.rules.yml", directory / "default.rules.yml")
    return play_file(directory, directory / "default.rules.yml", "defaults.json") and good


def translated_nineteen(binary, directory):
    config = directory / "perjoule.json"
    rules = (FIXTURES / "nineteen.json").read_text()
    config.write_text('{"alerts": {"default_rules": false, "rules": ' + rules + "}}")
    translated = directory / "nineteen.rules.yml"
    described = subprocess.run([binary, "describe", "rules", f"--config.file={config}"], capture_output=True, text=True,
                               check=True)
    translated.write_text(described.stdout)
    return translated


def play_file(directory, rules, file):
    good = promtool("check", "rules", "--lint=all", "--lint-fatal", rules)
    scenarios = json.loads((FIXTURES / file).read_text())["scenarios"]
    for number, scenario in enumerate(scenarios):
        test = directory / f"{rules.stem}-{number}.test.yml"
        test.write_text(scenario_text(scenario, rules.name))
        good = promtool("test", "rules", test) and good
    print(f"{len(scenarios)} scenarios of {file} played")
    return good


def shipped():
    rules = REPOSITORY / "deploy/prometheus/perjoule.rules.yml"
    return promtool("check", "rules", "--lint=all", "--lint-fatal", rules) & promtool(
        "test", "rules", rules.with_name("perjoule.rules.test.yml"))


def main():
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    if not shutil.which("promtool"):
        print("promtool is not installed")
        return SKIPPED
    binary = pathlib.Path(sys.argv[1]).resolve()
    if sys.argv[2:3] == ["--keep"]:
        directory = pathlib.Path(sys.argv[3])
        directory.mkdir(parents=True, exist_ok=True)
        return 0 if play(binary, directory) & shipped() else 1
    with tempfile.TemporaryDirectory(prefix="perjoule-") as directory:
        return 0 if play(binary, pathlib.Path(directory)) & shipped() else 1


if __name__ == "__main__":
    sys.exit(main())
