#!/usr/bin/env python3
# needs: a build in build/dev, Debian's prometheus; 6 minutes
"""A real Prometheus scrapes a daemon with eight stand-in GPUs each second. GPUs are lost and return, one is lost for
good and one is exchanged, the daemon is stopped and killed for 45 s each.

At every second the daemon's own history and Prometheus must agree on the number of GPUs, the sum of their gauges
and which of them there are; except within two scrape intervals of an event, and before a kill within storage.commit.
"""
import http.client
import json
import pathlib
import shutil
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import REPOSITORY, Tree, check, equal, for_seconds, wait_for  # noqa: E402
from prometheus import INTERVAL, Prometheus, Target  # noqa: E402
from stand_in import StandIn, on_bus, uuid  # noqa: E402

FAMILY = "perjoule_gpu_memory_total_bytes"  # the same at each reading, so that sums are exactly equal
QUERIES = (f"count({FAMILY})", f"sum({FAMILY})", FAMILY, f"min_over_time({FAMILY}[7s])",
           f"max by (uuid) ({FAMILY})")
COMMIT = 5.0
DOWN = 45


def rest(seconds):
    for _ in for_seconds(seconds, every=0.5):
        pass


class Events:
    """The moments of which each excuses the steps around it."""

    def __init__(self):
        self.excused = []

    def add(self, what, before=0.0):
        now = time.time()
        print(f"{what} at {now:.1f}", flush=True)
        self.excused.append((now - before - 2 * INTERVAL, now + 2 * INTERVAL))

    def excuse(self, at, shift=0.0):
        return any(begin <= at - shift <= end for begin, end in self.excused)


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def steps(port, query, begin, end):
    """By step: the values of the answer by their labels, without those that Prometheus adds."""
    words = {"query": query, "start": f"{begin:.3f}", "end": f"{end:.3f}", "step": "1"}
    status, body = get(port, "/api/v1/query_range?" + urllib.parse.urlencode(words))
    equal(status, 200, f"{query}: {body[:300]}")
    found = {}
    for series in json.loads(body)["data"]["result"]:
        labels = tuple(sorted((k, v) for k, v in series["metric"].items() if k not in ("job", "instance")))
        for at, value in series["values"]:
            found.setdefault(round(float(at)), {})[labels] = float(value)
    return found


def compare(prometheus, target, events, begin, end):
    differences = []
    for query in QUERIES:
        ours, theirs = (steps(port, query, begin, end) for port in (target.port, prometheus.port))
        compared = 0
        for at in range(begin, end + 1):
            if events.excuse(at) or ("[7s]" in query and any(events.excuse(at, shift) for shift in range(1, 8))):
                continue
            compared += 1
            if ours.get(at, {}) != theirs.get(at, {}):
                differences.append(f"{query} at {at}: {ours.get(at)} for {theirs.get(at)}")
        print(f"{query}: {compared} of {end - begin + 1} steps compared")
        check(compared > (end - begin) / 2, f"{query}: too few steps to compare")
    for line in differences[:20]:
        print(line)
    equal(len(differences), 0, "steps that differ")


def play(directory, binary):
    tree, gpus, events = Tree(directory), StandIn(binary, directory, "h100_idle"), Events()
    on_bus(tree, range(8))
    target = Target("node", binary, directory, [*tree.flags, *gpus.flags])
    target.environment = gpus.environment
    with Prometheus(directory, [target]) as prometheus:
        try:
            target.start()
            wait_for(lambda: target.daemon.scrape().find("perjoule_gpus") == 8, "eight GPUs")
            now = "/api/v1/query?" + urllib.parse.urlencode({"query": FAMILY})
            wait_for(lambda: FAMILY in get(prometheus.port, now)[1], "Prometheus scrapes", 20)
            begin = round(time.time())
            events.add("first scrape")
            rest(15)
            events.add("GPU 2 is lost")
            gpus.begin("lost-2")
            rest(60)
            events.add("GPU 2 is back")
            gpus.end("lost-2")
            wait_for(lambda: target.daemon.scrape().find("perjoule_gpus") == 8, "GPU 2", 20)
            events.add("GPU 2 is read")
            rest(10)
            events.add("GPU 3 is lost for good")
            gpus.begin("lost-3")
            rest(20)
            events.add("stop")
            target.daemon.stop()
            rest(DOWN)
            target.start()
            wait_for(lambda: target.daemon.scrape().find("perjoule_gpus") == 7, "seven GPUs")
            events.add("start")
            rest(20)
            events.add("kill", before=COMMIT + INTERVAL)
            target.kill()
            rest(DOWN)
            gpus.begin("gone-5")  # exchanged while the daemon is down: the same place, nothing on it that was known
            shutil.rmtree(tree.sysfs / "bus/pci/devices" / "0000:ab:00.0")
            target.start()
            wait_for(lambda: target.daemon.scrape().find("perjoule_gpus") == 6, "six GPUs")
            events.add("start")
            rest(20)
            seen = {labels["uuid"] for labels, _ in target.daemon.scrape()[FAMILY]}
            equal(seen, {uuid(board) for board in (0, 1, 2, 4, 6, 7)}, "GPUs at the end")
            end = round(time.time()) - 7  # the history commits every five seconds
            compare(prometheus, target, events, begin, end)
            target.daemon.stop()
        finally:
            if target.daemon:
                target.daemon.kill()


def main():
    binary = REPOSITORY / "build/dev/perjouled"
    check(binary.exists(), f"{binary} is missing: cmake --preset dev && ninja -C build/dev")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="perjoule-ends-"))
    try:
        play(directory, binary)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
