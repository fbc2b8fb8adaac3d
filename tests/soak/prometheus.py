#!/usr/bin/env python3
# needs: a build in build/dev, Debian's prometheus; 6 minutes
"""A real Prometheus scrapes two daemons each second while each is killed five times. One has a RAPL package that counts
a known power, the other models the power of this host.

Prometheus must see no persisted counter fall, refuse no sample and miss no scrape while the daemon runs, and its
increase() must equal what the ledger booked.
"""
import argparse
import http.client
import json
import os
import pathlib
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))
from harness import REPOSITORY, Daemon, Scrape, Tree, check, equal, wait_for  # noqa: E402

PERSISTED = ("perjoule_cpu_package_energy_joules_total", "perjoule_node_energy_joules_total",
             "perjoule_energy_by_source_joules_total", "perjoule_energy_unobserved_seconds_total")
NODE = "perjoule_node_energy_joules_total"
INTERVAL = 1.0
LEAST = 10.0  # seconds between two kills of a daemon


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Meter(threading.Thread):
    """Writes what a package would have counted; its power changes every few seconds."""

    STEPS = (150.0, 280.0, 95.0, 210.0)  # watts, five seconds each

    def __init__(self, file):
        super().__init__(daemon=True)
        self.file = file
        self.microjoules = 100_000_000_000  # the digits stay as many, so that no write leaves half of an older number
        self.ended = threading.Event()

    def run(self):
        last = time.monotonic()
        with open(self.file, "r+b") as file:
            while not self.ended.wait(0.02):
                now = time.monotonic()
                self.microjoules += round(self.STEPS[int(now / 5) % len(self.STEPS)] * (now - last) * 1e6)
                last = now
                os.pwrite(file.fileno(), f"{self.microjoules}\n".encode(), 0)


class Target:
    """A daemon on a port of its own, and the times at which it could not be scraped."""

    def __init__(self, name, binary, directory, flags):
        self.name, self.binary, self.flags = name, binary, flags
        self.directory = directory / name
        self.directory.mkdir(exist_ok=True)
        self.port = free_port()
        self.daemon = None
        self.environment = None
        self.down = []  # [from, to] in seconds since the epoch

    def start(self):
        self.daemon = Daemon(self.binary, self.directory, *self.flags, listen=f"127.0.0.1:{self.port}", wait=False,
                             environment=self.environment)
        self.daemon.wait_listening()
        if self.down:
            self.down[-1][1] = time.time()

    def kill(self):
        self.down.append([time.time(), float("inf")])
        self.daemon.kill()

    def ledger(self):
        database = sqlite3.connect(f"file:{self.directory / 'store/ledger.db'}?mode=ro", uri=True)
        try:
            return {key: value / 1e6 for key, value in database.execute("SELECT key, millionths FROM total")}
        finally:
            database.close()


class Prometheus:
    def __init__(self, directory, targets):
        self.port = free_port()
        jobs = [{"job_name": target.name, "static_configs": [{"targets": [f"127.0.0.1:{target.port}"]}]}
                for target in targets]
        config = directory / "prometheus.yml"  # JSON is YAML
        config.write_text(json.dumps({"global": {"scrape_interval": "1s", "scrape_timeout": "900ms"},
                                      "scrape_configs": jobs}))
        self.log = open(directory / "prometheus.log", "wb")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)

    def __enter__(self):
        wait_for(self.ready, "Prometheus is ready", 30, every=0.1)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def ready(self):
        check(self.process.poll() is None, "Prometheus ended")
        try:
            return self.get("/-/ready")[0] == 200
        except OSError:
            return False

    def query(self, expression, at):
        status, body = self.get("/api/v1/query?" + urllib.parse.urlencode({"query": expression, "time": f"{at:.3f}"}))
        equal(status, 200, expression)
        return json.loads(body)["data"]["result"]

    def rejected(self):
        """Samples that Prometheus refused, by reason."""
        scrape = Scrape(self.get("/metrics")[1])
        return {name: value for name, found in scrape.families.items()
                if name.startswith(("prometheus_target_scrapes_sample_", "prometheus_target_scrapes_exceeded_"))
                for _, value in found}


def kill_times(chance, seconds, kills):
    """Moments spread over the run, at least LEAST seconds apart."""
    room = seconds - 2 * LEAST - kills * LEAST
    check(room > 0, f"{seconds} s are too few for {kills} kills")
    moments = sorted(chance.uniform(0, room) for _ in range(kills))
    return [LEAST * (index + 1) + at for index, at in enumerate(moments)]


def live(targets, chance, options):
    begin = time.monotonic()
    events = []
    for target in targets:
        for at in kill_times(chance, options.seconds, options.kills):
            events.append((at, target.kill))
            events.append((at + chance.uniform(0.05, 3), target.start))
    for at, act in sorted(events, key=lambda event: event[0]):
        wait_for(lambda due=at: time.monotonic() - begin >= due, "the next event", options.seconds + 60, every=0.01)
        act()
    wait_for(lambda: time.monotonic() - begin >= options.seconds, "the end", options.seconds + 60, every=0.05)


def raw(prometheus, name, job, span, at):
    """Labels -> [(time, value)]."""
    found = prometheus.query(f'{name}{{job="{job}"}}[{span}s]', at)
    return {tuple(sorted((key, value) for key, value in series["metric"].items()
                         if key not in ("__name__", "job", "instance"))):
            [(when, float(value)) for when, value in series["values"]] for series in found}


def judge_up(prometheus, target, span, at):
    ups = raw(prometheus, "up", target.name, span, at)[()]
    missed = [when for when, value in ups if value == 0]
    # A scrape that began just before the kill may still fail.
    wrong = [when for when in missed
             if not any(start - INTERVAL <= when <= end for start, end in target.down)]
    equal(wrong, [], f"{target.name}: scrapes missed while the daemon ran")
    gaps = max(late - early for (early, _), (late, _) in zip(ups, ups[1:]))
    check(gaps < 3 * INTERVAL, f"{target.name}: Prometheus itself paused for {gaps:.1f} s")
    down = sum(end - start for start, end in target.down)
    print(f"{target.name}: {len(ups)} scrapes, {len(missed)} missed while the daemon was down "
          f"({len(target.down)} kills, {down:.1f} s)")
    return ups


def judge_counters(prometheus, target, span, at):
    samples = 0
    for name in PERSISTED:
        for labels, values in raw(prometheus, name, target.name, span, at).items():
            samples += len(values)
            for (_, early), (when, late) in zip(values, values[1:]):
                check(late >= early, f"{target.name}: {name}{labels} fell from {early} to {late} at {when}")
        resets = prometheus.query(f'sum(resets({name}{{job="{target.name}"}}[{span}s]))', at)
        equal([float(series["value"][1]) for series in resets], [0], f"{target.name}: resets of {name}")
    print(f"{target.name}: {samples} samples of persisted counters, none fell")


def judge_energy(prometheus, target, span, at, watts, meter_joules):
    ledger = target.ledger()
    for labels, values in raw(prometheus, NODE, target.name, span, at).items():
        source = dict(labels)["source"]
        booked = ledger[f'{NODE}{{source="{source}"}}']
        first, last = values[0][1], values[-1][1]
        raw_increase = last - first
        increase = float(prometheus.query(
            f'increase({NODE}{{job="{target.name}",source="{source}"}}[{span}s])', at)[0]["value"][1])
        unobserved = ledger.get('perjoule_energy_unobserved_seconds_total{device="node"}', 0.0)
        # The last scrape shows the ledger of a second ago; increase() stretches to the window by up to an interval at
        # each end.
        slack = (unobserved + 3 * INTERVAL) * watts
        print(f"{target.name}: source {source}: raw {raw_increase:.1f} J, increase() {increase:.1f} J, ledger "
              f"{booked - first:.1f} J, unobserved {unobserved:.1f} s, largest power {watts:.1f} W")
        check(abs(raw_increase - (booked - first)) <= 3 * INTERVAL * watts, "raw samples against the ledger")
        check(abs(increase - (booked - first)) <= slack, "increase() against the ledger")
        if meter_joules is not None:
            print(f"{target.name}: the meter counted {meter_joules:.6f} J, the ledger booked {booked:.6f} J")
            check(abs(meter_joules - booked) <= unobserved * watts, "the ledger against the meter")


def main():
    parser = argparse.ArgumentParser(description="A real Prometheus over kills.")
    parser.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "build/dev/perjouled")
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=20261124)
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.seconds} s")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="perjoule-prometheus-"))
    try:
        tree = Tree(directory)
        meter = Meter(tree.package(0, 100_000_000_000, watts=400))
        targets = [Target("rapl", options.binary, directory, tree.flags), Target("host", options.binary, directory, ())]
        try:
            for target in targets:
                target.start()
            wait_for(lambda: targets[0].daemon.scrape().state("rapl", "package-0") == "ok", "the package was read")
            meter.start()
            with Prometheus(directory, targets) as prometheus:
                live(targets, random.Random(options.seed), options)
                meter.ended.set()
                meter.join()
                joules = (meter.microjoules - 100_000_000_000) / 1e6
                daemon = targets[0].daemon
                daemon.scrape_until(lambda seen: seen.find(NODE, source="sum") == joules, "all the meter counted")
                wait_for(lambda until=time.monotonic() + 2 * INTERVAL: time.monotonic() > until, "two more scrapes")
                at = time.time()  # what is judged ends before the daemons do
                for target in targets:
                    target.daemon.stop()
                span = options.seconds + 60
                for target, known in zip(targets, (joules, None)):
                    powers = raw(prometheus, "perjoule_node_power_watts", target.name, span, at)
                    watts = max(value for values in powers.values() for _, value in values)
                    judge_up(prometheus, target, span, at)
                    judge_counters(prometheus, target, span, at)
                    judge_energy(prometheus, target, span, at, watts, known)
                rejected = prometheus.rejected()
                check(len(rejected) >= 3, f"counters of rejected samples {rejected}")
                equal({name: value for name, value in rejected.items() if value}, {}, "samples that Prometheus refused")
                print(f"samples refused: 0 ({len(rejected)} counters)")
        finally:
            for target in targets:
                if target.daemon:
                    target.daemon.kill()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
