#!/usr/bin/env python3
"""Prometheus' API over the history of a running daemon, compared with /metrics."""
import contextlib
import csv
import http.client
import io
import json
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.parse

from harness import Daemon, check, equal, main, run, wait_for
from meter import FAST, Meter, grown, package_joules

TOTAL = "perjoule_cpu_package_energy_joules_total"
HEAT = "perjoule_temperature_celsius"


def ask(daemon, path, parameters=(), method="GET", host=None):
    """Status and decoded body."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30)
    try:
        form = urllib.parse.urlencode(parameters)
        headers = {"Host": host} if host else {}
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request(method, f"/api/v1/{path}", body=form, headers=headers)
        else:
            connection.request(method, f"/api/v1/{path}" + ("?" + form if form else ""), headers=headers)
        response = connection.getresponse()
        equal(response.getheader("Content-Type"), "application/json", f"Content-Type of {path}")
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def data(daemon, path, parameters=(), method="GET"):
    status, body = ask(daemon, path, parameters, method)
    equal((status, body["status"]), (200, "success"), f"{path} {parameters}: {body}")
    check("warnings" not in body, f"{path} {parameters}: {body}")
    return body["data"]


def vector(daemon, query, **parameters):
    """(labels, value) of an instant query's series."""
    got = data(daemon, "query", {"query": query} | parameters)
    equal(got["resultType"], "vector", f"type of {query}")
    return [(series["metric"], float(series["value"][1])) for series in got["result"]]


class Watched:
    """A daemon whose history has a constant temperature and an energy counter that no longer advances."""

    def __init__(self, binary, directory):
        self.meter = Meter(directory)
        self.meter.tree.zone(0, "acpitz", 41500)
        self.daemon = Daemon(binary, directory, *FAST, *self.meter.tree.flags)
        self.begin = time.time()

    def __enter__(self):
        try:
            grown(self.daemon, self.meter, 60)
            self.total = self.meter.joules()
            self.daemon.scrape_until(lambda seen: package_joules(seen) == self.total, "the last total", 30)
            self.answered(lambda: [value for _, value in vector(self.daemon, TOTAL)] == [self.total], "it is stored")
            return self
        except BaseException:
            self.daemon.kill()
            raise

    def __exit__(self, *_):
        self.daemon.kill()

    def answered(self, condition, what):
        """Waits for the history's first commit, which takes time on a loaded disk: until then the API gives 503."""
        def look():
            status, _ = ask(self.daemon, "labels")
            check(status in (200, 503), f"status {status}")
            return status == 200 and condition()

        wait_for(look, what, 30, every=0.1)


def values(binary, directory):
    with Watched(binary, directory) as watched:
        daemon = watched.daemon
        shown = daemon.scrape()[HEAT]
        check(shown, "a temperature is shown")
        equal(sorted(vector(daemon, HEAT), key=str),
              sorted(((labels | {"__name__": HEAT}, value) for labels, value in shown), key=str), HEAT)
        equal(vector(daemon, f"sum({TOTAL})", time=f"{time.time():.3f}"), [({}, watched.total)], "a sum")
        equal(vector(daemon, TOTAL, time=f"{watched.begin - 600:.3f}"), [], "before the daemon was started")
        equal(data(daemon, "query", {"query": "1 + 1", "time": "4.5"}), {"resultType": "scalar", "result": [4.5, "2"]},
              "a scalar")
        grew = vector(daemon, f"max_over_time({TOTAL}[5m]) - 0")
        equal([value for _, value in grew], [watched.total], "the largest of five minutes")

        end = int(time.time())
        span = {"start": end - 60, "end": end, "step": 1}
        got = data(daemon, "query_range", {"query": TOTAL} | span, "POST")
        equal(got["resultType"], "matrix", "type of a range")
        equal(len(got["result"]), 1, "series of a range")
        points = got["result"][0]["values"]
        equal([at for at, _ in points], list(range(points[0][0], end + 1)), "timestamps of a range")
        totals = [float(value) for _, value in points]
        equal(totals, sorted(totals), "a counter does not fall")
        check(totals[-1] <= watched.total and totals[0] >= 0, f"totals {totals}")


def resolution(binary, directory):
    """Roll-ups are used when requested, with a warning; for a constant value they give that value."""
    with Watched(binary, directory) as watched:
        end = int(time.time())
        asked = {"query": f"max_over_time({HEAT}[1m])", "start": end - 600, "end": end, "step": 60}
        exact = data(watched.daemon, "query_range", asked)["result"]
        check(exact, "samples of the last minutes")
        status, body = ask(watched.daemon, "query_range", asked | {"max_source_resolution": "1m"})
        equal((status, body["status"]), (200, "success"), f"roll-ups: {body}")
        check("minute roll-ups" in body["warnings"][0], body)
        heats = {value for series in exact + body["data"]["result"] for _, value in series["values"]}
        equal(heats, {"41.5"}, "a constant temperature")


def listings(binary, directory):
    with Watched(binary, directory) as watched:
        daemon = watched.daemon
        names = data(daemon, "label/__name__/values")
        equal(names, sorted(set(names)), "names are sorted, none twice")
        check({TOTAL, HEAT} <= set(names), names)
        scrape = daemon.scrape()
        check(all(scrape[name] for name in (TOTAL, HEAT)), "they are on /metrics")
        labels = data(daemon, "labels", [("match[]", TOTAL), ("match[]", HEAT)])
        shown = {key for name in (TOTAL, HEAT) for found, _ in scrape[name] for key in found}
        equal(set(labels), shown | {"__name__"}, "labels")
        equal(data(daemon, "label/package/values", {"match[]": TOTAL}), ["0"], "values of a label")
        equal(data(daemon, "series", {"match[]": TOTAL}),
              [{"__name__": TOTAL} | found for found, _ in scrape[TOTAL]], "series")

        meta = data(daemon, "metadata", {"metric": TOTAL})
        entry = meta[TOTAL][0]
        equal((list(meta), entry["type"], entry["unit"]), ([TOTAL], "counter", "joules"), "metadata")
        check(f"# HELP {TOTAL} {entry['help']}\n" in scrape.text, entry)
        build = data(daemon, "status/buildinfo")
        equal(build["version"], scrape["perjoule_build_info"][0][0]["version"], "version")
        check("features" not in build, build)


def refusals(binary, directory):
    with Watched(binary, directory) as watched:
        daemon = watched.daemon
        for path, parameters, status, kind in (
                ("query", {"query": "1 +"}, 400, "bad_data"), ("query", {"query": "topk(1, a)"}, 422, "execution"),
                ("query_range", {"query": "1", "start": 2, "end": 1, "step": 1}, 400, "bad_data"),
                ("query_range", {"query": "1", "start": 0, "end": 11001, "step": 1}, 400, "bad_data"),
                ("series", {}, 400, "bad_data"), ("nothing", {}, 404, "not_found")):
            got, body = ask(daemon, path, parameters)
            equal((got, body["status"], body["errorType"]), (status, "error", kind), f"{path} {parameters}: {body}")
        equal(ask(daemon, "labels", host="evil.example")[0], 403, "another site's name")
        equal(daemon.get("/api/v1/labels", method="PUT")[0], 405, "PUT")
        codes = {"400": 4, "404": 1, "422": 1, "503": 0}
        daemon.scrape_until(
            lambda scrape: {code: scrape.value("perjoule_queries_total", code=code) for code in codes} == codes,
            "refusals counted")
    with Daemon(binary, directory, "--no-storage", *watched.meter.tree.flags) as daemon:
        equal(ask(daemon, "labels")[0], 503, "without a history")
        equal(list(data(daemon, "alerts")), ["alerts"], "alerts without a history")


def as_promtool_asks(binary, directory):
    with Watched(binary, directory) as watched:
        url = f"http://127.0.0.1:{watched.daemon.port}"

        def promtool(*words):
            ended = subprocess.run(["promtool", "query", *words], capture_output=True, text=True, timeout=60,
                                   check=False)
            equal((ended.returncode, ended.stderr), (0, ""), f"promtool query {words}")
            return ended.stdout

        check(f"=> {watched.total:g} @" in promtool("instant", url, TOTAL), "an instant query")
        check(f"{watched.total:g} @" in promtool("range", "--step=1s", url, TOTAL), "a range")
        check(TOTAL in promtool("series", f"--match={TOTAL}", url), "series")
        check(HEAT in promtool("labels", url, "__name__"), "values of a label")


def read_by_others(binary, directory):
    """POSIX file locks of a process end when it closes any descriptor of the file. If the daemon lost its locks that
    way, another process that closes the database (sqlite3 after .backup) would delete the write-ahead log, and later
    commits would be lost."""
    with Watched(binary, directory) as watched:
        history = directory / "store/history.db"
        with contextlib.closing(sqlite3.connect(history)) as reader:
            check(reader.execute("SELECT count(*) FROM series").fetchone()[0] > 0, "series")
        check(history.with_name("history.db-wal").exists(), "the write-ahead log still exists")
        watched.meter.advance(20)
        total = watched.meter.joules()

        def stored():
            ended = run([binary, "export", "--format=csv", f"--storage.path={history.parent}", f"--metric={TOTAL}"])
            equal(ended.returncode, 0, f"export: {ended.stderr}")
            return float(list(csv.DictReader(io.StringIO(ended.stdout)))[-1]["value"]) == total

        wait_for(stored, "later samples are stored", 30, every=0.2)


def ends_while_asked(binary, directory):
    with Watched(binary, directory) as watched:
        daemon = watched.daemon
        asked = []

        def go_on():
            try:
                while True:
                    status, _ = ask(daemon, "query", {"query": 'count({__name__=~".+"})'})
                    asked.append(status)
            except (OSError, http.client.HTTPException):
                pass  # it has ended

        askers = [threading.Thread(target=go_on) for _ in range(8)]
        for asker in askers:
            asker.start()
        wait_for(lambda: len(asked) >= 16, "answers", 30)
        daemon.stop(within=5.0)
        for asker in askers:
            asker.join(30)
            check(not asker.is_alive(), "a client hangs")
        check(set(asked) <= {200, 503} and 200 in asked, set(asked))
        equal(daemon.lines("still hangs"), [], "no thread is left behind")


if __name__ == "__main__":
    sys.exit(main([values, resolution, listings, refusals, as_promtool_asks, read_by_others, ends_while_asked]))
