#!/usr/bin/env python3
"""A disk that does not answer is named as such: no alert blames a GPU, no total stands still, and no sample is lost.

disk_hang.py PERJOULED     PERJOULE_HANG_SECONDS=70 makes it as long as in the soak test
"""
import json
import os
import pathlib
import sys
import time

from harness import Daemon, Tree, check, equal, for_seconds, main, wait_for
from stand_in import StandIn, on_bus, uuid

SECONDS = float(os.environ.get("PERJOULE_HANG_SECONDS", "36"))
TOTAL = "perjoule_gpu_energy_joules_total"


def firing(scrape):
    return {(labels["alertname"], labels["severity"]) for labels, value in scrape["perjoule_alerts"]
            if labels["state"] == "firing" and value > 0}


def hang(binary, directory):
    tree, gpus = Tree(directory), StandIn(binary, directory, "h100")
    on_bus(tree, range(8))
    stall = directory / "stall"
    shim = pathlib.Path(binary).parent / "tests/libstall_disk.so"
    environment = {**gpus.environment, "LD_PRELOAD": str(shim), "STALL_DISK_WHILE": str(stall)}
    with Daemon(binary, directory, *tree.flags, *gpus.flags, "--storage.commit=1s", environment=environment) as daemon:
        first = daemon.scrape_until(lambda seen: len(seen[TOTAL]) == 8, "eight totals").value(TOTAL, uuid=uuid(0))
        daemon.scrape_until(lambda seen: seen.value(TOTAL, uuid=uuid(0)) > first, "a total that grows")
        stall.touch()
        began, alerted, absent, flat = time.monotonic(), None, None, 0.0
        changed, last = began, None
        for _ in for_seconds(SECONDS, every=0.5):
            seen, now = daemon.scrape(), time.monotonic() - began
            equal(len(seen["perjoule_gpu_power_watts"]), 8, f"gauges after {now:.0f} s")
            equal(seen.value("perjoule_gpus"), 8, "GPUs that answer")
            check(firing(seen) <= {("PerjouleStorageStuck", "warning")}, f"after {now:.0f} s: {firing(seen)}")
            if firing(seen) and alerted is None:
                alerted = now
            total = seen.find(TOTAL, uuid=uuid(0))
            if total is None and absent is None:
                absent = now
            if total != last:
                changed, last = time.monotonic(), total
            if total is not None:
                flat = max(flat, time.monotonic() - changed)
        print(f"alert after {alerted} s, totals absent after {absent} s, flat for {flat:.1f} s")
        check(alerted is not None and alerted < 30, f"the alert came after {alerted} s")
        check(absent is not None and flat < 31.5, f"a total stood still for {flat:.1f} s")
        lines = daemon.wait_lines("storing hangs", "a commit has not returned")
        equal(len(lines), 1, "lines that name the disk")
        check(seen.value("perjoule_storage_commit_pending_seconds") > SECONDS - 5, "the pending commit")
        check(b"a commit has not returned" in daemon.get("/")[2], "the page says so")
        stall.unlink()
        seen = daemon.scrape_until(lambda seen: len(seen[TOTAL]) == 8, "the totals are back", 10)
        check(daemon.wait_lines("answers again"), "the log says that it is over")
        wait_for(lambda: not firing(daemon.scrape()), "the alert ends", 20)

        def all_there():
            span = int(time.monotonic() - began)
            query = f"count_over_time(perjoule_gpu_power_watts%7Bgpu=%220%22%7D[{span}s])"
            found = json.loads(daemon.get(f"/api/v1/query?query={query}")[2])["data"]["result"]
            return found and float(found[0]["value"][1]) >= span - 3
        wait_for(all_there, "every sample of that time is in the history", 20)
        equal(daemon.scrape().value("perjoule_storage_dropped_samples_total"), 0, "dropped samples")
        daemon.stop()


if __name__ == "__main__":
    sys.exit(main([hang]))
