#!/usr/bin/env python3
# needs: a build in build/dev, sqlite3; 12 minutes
"""A reader that is open for ten minutes beside a size limit of 4 MiB: the limit holds, and one line has its pid.

open_reader.py [SECONDS [PERJOULED]]
"""
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))
from harness import REPOSITORY, Daemon, Tree, check, equal, for_seconds, wait_for  # noqa: E402

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
BINARY = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else REPOSITORY / "build/dev/perjouled"
LIMIT, SLACK = 4 << 20, 256 << 10
ZONES = 200


def on_disk(store):
    return sum((store / name).stat().st_size for name in ("history.db", "history.db-wal"))


def watch(daemon, store, tree, seconds):
    """The largest size in that time; the temperatures change, so that they take room."""
    peak, number = 0, 0
    for _ in for_seconds(seconds, every=0.2):
        number += 1
        for zone in range(ZONES):
            tree.zone(zone, f"zone{zone}", 30000 + (number * 7919 + zone * 104729) % 50000)
        peak = max(peak, on_disk(store))
    print(f"peak {peak / (1 << 20):.2f} MiB after {seconds:.0f} s, "
          f"{daemon.scrape().value('perjoule_storage_dropped_samples_total'):.0f} samples dropped", flush=True)
    check(peak <= LIMIT + SLACK, f"{peak} bytes at a limit of {LIMIT}")


def test(binary, directory):
    tree, store = Tree(directory), directory / "store"
    for zone in range(ZONES):
        tree.zone(zone, f"zone{zone}", 30000)
    flags = ("--storage.commit=1s", "--collector.thermal_zone.period=200ms", "--storage.retention.size=4MiB")
    with Daemon(binary, directory, *tree.flags, *flags) as daemon:
        watch(daemon, store, tree, 60)
        equal(daemon.scrape().value("perjoule_storage_starved_checkpoints_total"), 0, "starved before")
        reader = subprocess.Popen(["sqlite3", store / "history.db"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True)
        try:
            reader.stdin.write("BEGIN; SELECT count(*) FROM tail;\n")
            reader.stdin.flush()
            check(reader.stdout.readline().strip().isdigit(), "the reader's transaction")
            watch(daemon, store, tree, SECONDS)
            lines = daemon.wait_lines(f"pid {reader.pid} ")
            equal(len(lines), 1, f"lines with its pid {lines}")
            check(f"pid {reader.pid} (sqlite3)" in lines[0], lines[0])
            equal(daemon.scrape().value("perjoule_storage_starved_checkpoints_total"), 1, "starved")
        finally:
            reader.kill()
            reader.wait()
        appended = daemon.scrape().value("perjoule_storage_appended_samples_total")
        daemon.scrape_until(lambda seen: seen.value("perjoule_storage_appended_samples_total") > appended, "it goes on")
        wait_for(lambda: daemon.lines("no reader keeps"), "the log says so")
        watch(daemon, store, tree, 60)
        equal(len(daemon.wait_lines("no reader keeps")), 1, "lines about the end")
        daemon.stop()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="perjoule-") as scratch:
        test(BINARY, pathlib.Path(scratch))
    print("the limit held")
