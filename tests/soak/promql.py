#!/usr/bin/env python3
# needs: prometheus; a build in build/dev (cmake --preset dev && ninja -C build/dev query_answer); 3 minutes
"""Compares the query API with a real Prometheus 2.42 that has the same samples: every answer must be equal.

Without options it generates telemetry with resets, gaps, jitter and series that come and go, some with a stale marker
at their end, writes it into Prometheus, and queries ours through query_answer. With --api URL --openmetrics FILE it
queries a running daemon, and Prometheus gets what that daemon exported. Values may differ by 1e-9 of their size;
timestamps, labels, order, statuses and error messages must be equal.
"""
import argparse
import collections
import http.client
import json
import math
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import LABEL, REPOSITORY, check, wait_for  # noqa: E402
from prometheus import free_port  # noqa: E402
from promql_queries import ERRORS, UNSUPPORTED, Queries, listings  # noqa: E402
from promql_telemetry import write_telemetry  # noqa: E402
from remote_write import SAMPLE, remote_write  # noqa: E402

TOLERANCE = 1e-9
REMAINDER = 1e-6  # of an answer to a query with %: a small remainder has the rounding error of the large operand
LONG_AGO = 1_700_000_000  # seconds; fixed, so that a seed reproduces a difference


class Pipe:
    """Queries through the program query_answer, which reads the OpenMetrics file itself."""

    def __init__(self, binary, file):
        self.process = subprocess.Popen([binary, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, path, parameters):
        self.process.stdin.write(f"/{path}?{urllib.parse.urlencode(parameters)}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        check(line, f"query_answer ended at {path} {parameters}")
        status, body = line.split(" ", 1)
        return int(status), json.loads(body)

    def close(self):
        self.process.stdin.close()
        check(self.process.wait(10) == 0, "query_answer failed")


class Api:
    """Queries through Prometheus' HTTP API at a base URL such as http://127.0.0.1:9090."""

    def __init__(self, url):
        self.url = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=60)

    def ask(self, path, parameters):
        base = self.url.path.rstrip("/")
        self.connection.request("GET", f"{base}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())

    def close(self):
        self.connection.close()


class Prometheus(Api):
    def __init__(self, directory, file):
        config = directory / "prometheus.yml"
        config.write_text("{}\n")
        port = free_port()
        self.log = open(directory / "prometheus.log", "wb")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}", "--log.level=warn",
             "--storage.tsdb.retention.time=100y", "--web.enable-remote-write-receiver",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        super().__init__(f"http://127.0.0.1:{port}")
        wait_for(self.ready, "Prometheus is ready", 60, every=0.1)
        remote_write(port, file)

    def ready(self):
        check(self.process.poll() is None, "Prometheus ended")
        try:
            self.connection.request("GET", "/-/ready")
            response = self.connection.getresponse()
            response.read()
            return response.status == 200
        except OSError:
            self.connection.close()
            return False

    def close(self):
        super().close()
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


def read_series(file):
    """The series of an OpenMetrics file as dictionaries of labels, and the first and last timestamp."""
    series, first, last = {}, math.inf, -math.inf
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            match = SAMPLE.match(line)
            if not match or line.startswith("#"):
                continue
            name, labels, _, stamp = match.groups()
            series.setdefault((name, labels or ""), None)
            first, last = min(first, float(stamp)), max(last, float(stamp))
    return [{"__name__": name} | dict(LABEL.findall(labels)) for name, labels in series], first, last


class Differ:
    def __init__(self, ours, theirs):
        self.ours, self.theirs = ours, theirs
        self.failed = self.asked = self.values = self.identical = self.empty = 0
        self.worst = 0.0
        self.tolerance = TOLERANCE

    def fail(self, path, parameters, what):
        self.failed += 1
        print(f"DIFFERENT {path} {json.dumps(parameters)}\n    {what}")

    def value(self, ours, theirs):
        self.values += 1
        if ours == theirs:
            self.identical += 1
            return True
        a, b = float(ours), float(theirs)
        if not (math.isfinite(a) and math.isfinite(b)):
            return False
        off = abs(a - b) / max(abs(a), abs(b))
        self.worst = max(self.worst, off)
        return off <= self.tolerance

    def points(self, ours, theirs):
        """The difference between two lists of [timestamp, value]; "" if they are equal."""
        if len(ours) != len(theirs):
            return f"{len(ours)} points, {len(theirs)} expected"
        for mine, expected in zip(ours, theirs):
            if mine[0] != expected[0]:
                return f"timestamp {mine[0]}, {expected[0]} expected"
            if not self.value(mine[1], expected[1]):
                return f"{mine[1]} at {mine[0]}, {expected[1]} expected"
        return ""

    def data(self, ours, theirs):
        if not isinstance(theirs, dict):
            return "" if ours == theirs else f"{ours}\n    {theirs} expected"
        if ours["resultType"] != theirs["resultType"]:
            return f"{ours['resultType']}, {theirs['resultType']} expected"
        ours, theirs, kind = ours["result"], theirs["result"], theirs["resultType"]
        if kind in ("scalar", "string"):
            return self.points([ours], [theirs])
        mine, expected = ([item["metric"] for item in side] for side in (ours, theirs))
        if mine != expected:
            same = sorted(map(str, mine)) == sorted(map(str, expected))
            return f"series {'in another order' if same else 'differ'}: {mine[:4]}...\n    {expected[:4]}... expected"
        for one, other in zip(ours, theirs):
            pair = ("value", "values")[kind == "matrix"]
            found = self.points(*((side[pair] if kind == "matrix" else [side[pair]]) for side in (one, other)))
            if found:
                return f"{one['metric']}: {found}"
        return ""

    def ask(self, path, parameters):
        self.asked += 1
        self.tolerance = REMAINDER if "%" in parameters.get("query", "") else TOLERANCE
        status, body = self.ours.ask(path, parameters)
        expected_status, expected = self.theirs.ask(path, parameters)
        if status != expected_status:
            return self.fail(path, parameters,
                             f"{status} {str(body)[:300]}\n    {expected_status} {str(expected)[:300]} expected")
        if status != 200:
            mine, other = ((side["errorType"], side["error"]) for side in (body, expected))
            found = "" if mine == other else f"{mine}\n    {other} expected"
        else:
            found = self.data(body["data"], expected["data"])
            if body.get("warnings") != expected.get("warnings"):  # ours warns if it used roll-ups instead of samples
                found = f"{body.get('warnings')}, {expected.get('warnings')} expected"
            self.empty += not (expected["data"]["result"] if isinstance(expected["data"], dict) else expected["data"])
        if found:
            self.fail(path, parameters, found)
        return None

    def position(self, query, at):
        """A query that both must refuse at the same place."""
        self.asked += 1
        parameters = {"query": query, "time": at}
        status, body = self.ours.ask("query", parameters)
        expected_status, expected = self.theirs.ask("query", parameters)
        place = re.compile(r"(.*?\d+:\d+: parse error: )")
        mine, other = (place.match(side.get("error", "")) for side in (body, expected))
        if status != expected_status or not mine or not other or mine[1] != other[1]:
            self.fail("query", parameters, f"{status} {body}\n    {expected_status} {expected} expected")

    def unsupported(self, query, place, at):
        self.asked += 1
        parameters = {"query": query, "time": at}
        status, body = self.ours.ask("query", parameters)
        expected_status, expected = self.theirs.ask("query", parameters)
        if status != 422 or not body["error"].startswith("unsupported: ") or place not in body["error"]:
            self.fail("query", parameters, f"{status} {body}, expected 422 with {place!r}")
        if expected_status == 400:
            self.fail("query", parameters, f"Prometheus does not answer it, either: {expected}")


def exported(path, parameters, names):
    """Limits a listing to the exported names, because the running daemon also has newer series of its own."""
    matcher = f'__name__=~"{names}"'
    match = parameters.get("match[]", "{}" if path != "series" else "")
    if match.endswith("}"):
        match = match[:-1] + ("," if len(match) > 2 else "") + matcher + "}"
    return parameters | ({"match[]": match} if match else {})


def compare(differ, series, span, options):
    names = "|".join(sorted({labels["__name__"] for labels in series}))
    chance = random.Random(options.seed)
    queries = Queries(chance, series, *span)
    asked = collections.Counter()
    for construct, path, parameters in queries.all(options.each):
        asked[construct, path] += 1
        differ.ask(path, parameters)
    for path, parameters in listings(series, *span):
        if options.api and not path.startswith("query"):
            parameters = exported(path, parameters, names)
        differ.ask(path, parameters)
    for query in ERRORS:
        differ.position(query, span[1])
    for query, place in UNSUPPORTED:
        differ.unsupported(query, place, span[1])
    per = collections.Counter()
    for (construct, _), count in asked.items():
        per[construct] += count
    print(", ".join(f"{construct} {count}" for construct, count in sorted(per.items())))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--each", type=int, default=36, help="queries per function, aggregation and operator")
    parser.add_argument("--binary", default=str(REPOSITORY / "build/dev/tests/query_answer"))
    parser.add_argument("--api", help="base URL of a daemon, instead of query_answer")
    parser.add_argument("--openmetrics", help="what that daemon exported")
    options = parser.parse_args()
    if bool(options.api) != bool(options.openmetrics):
        parser.error("--api and --openmetrics go together")
    print(f"seed {options.seed}")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="perjoule-promql-"))
    sides = []
    try:
        file = options.openmetrics
        if not file:
            file = directory / "telemetry.om"
            write_telemetry(random.Random(options.seed), file, LONG_AGO)
        series, *span = read_series(file)
        sides.append(Api(options.api) if options.api else Pipe(options.binary, file))
        sides.append(Prometheus(directory, file))
        differ = Differ(*sides)
        compare(differ, series, span, options)
    finally:
        for side in sides:
            side.close()
        shutil.rmtree(directory)
    print(f"{differ.asked} requests, {differ.empty} answers empty, {differ.failed} different; {differ.values} values, "
          f"{differ.identical} to the last digit, the worst off by {differ.worst:.1e} (seed {options.seed})")
    return 1 if differ.failed else 0


if __name__ == "__main__":
    sys.exit(main())
