#!/usr/bin/env python3
# needs: a build in build/dev, cc; 6 minutes
"""kill -9 two hundred times, at random points and at chosen system calls inside a commit.

A sensor shows a number that only grows. After each kill both files must be intact, the history's last number at most
one commit interval behind the last one that /metrics showed, and no total in the ledger below what /metrics showed. The
files are checked in a copy, so that the next daemon does the recovery itself. kill_history covers what a daemon does
only after a quarter of an hour: sealing, roll-ups and retention.
"""
import argparse
import csv
import io
import os
import pathlib
import random
import select
import shutil
import sqlite3
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))
from harness import REPOSITORY, Daemon, Tree, check, equal, for_seconds, run  # noqa: E402

COMMIT = 1.0
PERIOD = 0.1
SLACK = 0.3  # seconds; a commit takes some milliseconds, and the machine may be busy
FIRST = 100_000_000  # microwatts; all numbers have as many digits, so a write never leaves a part of an older number
STRIKE_WAIT = 8.0
FAMILY = "perjoule_sensor_power_watts"
TOTAL = "perjoule_node_energy_joules_total"


class Sequence(threading.Thread):
    """Advances the sensor by one microwatt every 10 ms and remembers when."""

    def __init__(self, file):
        super().__init__(daemon=True)
        self.file = file
        self.times = [time.monotonic()]
        self.ended = threading.Event()

    def run(self):
        with open(self.file, "r+b") as file:
            while not self.ended.wait(0.01):
                self.times.append(time.monotonic())
                os.pwrite(file.fileno(), f"{FIRST + len(self.times) - 1}\n".encode(), 0)

    def seconds_between(self, early, late):
        return self.times[late] - self.times[early] if early < late else 0.0


def number_of(watts):
    return round(watts * 1e6) - FIRST


def shim(directory):
    library = directory / "strike.so"
    source = pathlib.Path(__file__).with_name("strike.c")
    built = run(["cc", "-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-o", library, source, "-ldl"])
    equal(built.returncode, 0, f"cc: {built.stderr}")
    return library


class Life:
    """What /metrics showed during one run of the daemon, and whether it was killed at the chosen place."""

    def __init__(self):
        self.first = self.last = None
        self.totals = {}
        self.struck = True

    def look(self, daemon):
        seen = daemon.scrape()
        if (watts := seen.find(FAMILY)) is not None:
            self.last = number_of(watts)
            self.first = self.last if self.first is None else self.first
        self.totals |= {labels["source"]: value for labels, value in seen[TOTAL]}


def live_and_die(binary, directory, tree, library, kind, at):
    life = Life()
    reading, writing = os.pipe()
    words = ()
    if kind != "random":
        words = ("env", f"LD_PRELOAD={library}", f"SOAK_STRIKE={at}", f"SOAK_PIPE={writing}")
    try:
        with Daemon(binary, directory, *tree.flags, "--storage.commit=1s",
                    f"--collector.hwmon.period={int(PERIOD * 1000)}ms", words=words, wait=False,
                    pass_fds=(writing,)) as daemon:
            daemon.wait_listening()
            for _ in for_seconds(at if kind == "random" else STRIKE_WAIT):
                if select.select([reading], [], [], 0)[0]:
                    break
                life.look(daemon)
            else:
                life.struck = kind == "random"
            daemon.kill()
    finally:
        os.close(reading)
        os.close(writing)
    return life


def inspect(binary, directory):
    """Integrity, the last number of the history and the node's totals, from a copy of the store."""
    copy = directory / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(directory / "store", copy)
    ended = run([binary, "export", "--format=csv", f"--metric={FAMILY}", f"--storage.path={copy}"])
    rows = list(csv.DictReader(io.StringIO(ended.stdout)))
    numbers = [number_of(float(row["value"])) for row in rows]
    equal(numbers, sorted(numbers), "the history's numbers in their order")
    states, totals = [], {}
    for name in ("ledger.db", "history.db"):
        if not (copy / name).exists():
            continue
        database = sqlite3.connect(copy / name)
        states.append(database.execute("PRAGMA integrity_check").fetchone()[0])
        if name == "ledger.db":
            for key, millionths in database.execute("SELECT key, millionths FROM total"):
                if key.startswith(TOTAL + "{"):
                    totals[key.split('"')[1]] = millionths / 1e6
        database.close()
    equal(set(states) - {"ok"}, set(), "integrity_check")
    return (numbers[-1] if numbers else None), totals, len(numbers)


def plan(options, chance):
    rounds = [("random", chance.uniform(0.2, 2.4)) for _ in range(options.kills - options.commits)]
    rounds += [("commit", chance.randint(1, 12)) for _ in range(options.commits)]
    chance.shuffle(rounds)
    return rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "build/dev/perjouled")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--commits", type=int, default=60)
    parser.add_argument("--seed", type=int, default=20261124)
    options = parser.parse_args()
    print(f"seed {options.seed}")
    chance = random.Random(options.seed)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="perjoule-kill-"))
    hits = {"random": 0, "commit": 0}
    missed = 0
    worst = 0.0
    try:
        tree = Tree(directory)
        tree.chip(0, "ina226", {"power1_input": FIRST})
        library = shim(directory)
        sequence = Sequence(tree.sysfs / "class/hwmon/hwmon0/power1_input")
        sequence.start()
        rows = 0
        for index, (kind, at) in enumerate(plan(options, chance)):
            life = live_and_die(options.binary, directory, tree, library, kind, at)
            if life.struck:
                hits[kind] += 1
            else:
                missed += 1
            last, totals, rows = inspect(options.binary, directory)
            where = f"round {index}: {kind} {at}"
            for source, shown in life.totals.items():
                check(totals.get(source, -1) >= shown, f"{where}: {source} fell from {shown} to {totals.get(source)} J")
            if life.last is not None:
                # A run that ended before its first commit is lost from its beginning.
                lost = sequence.seconds_between(max(last or 0, life.first), life.last)
                check(lost < COMMIT + PERIOD + SLACK,
                      f"{where}: {lost:.2f} s lost, the history ends with {last}, /metrics showed {life.last}")
                worst = max(worst, lost)
        sequence.ended.set()
        equal(sorted(path.name for path in (directory / "store").glob("*.kept-*")), [], "files kept aside")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    print(f"kills {sum(hits.values())}: random {hits['random']}, inside a commit {hits['commit']}; "
          f"strikes that did not come {missed}")
    print(f"both files intact each time; at most {worst:.2f} s lost; {rows} numbers in the history at the end")
    if hits["commit"] < options.commits * 2 // 3:
        print("too few strikes came where they should")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
