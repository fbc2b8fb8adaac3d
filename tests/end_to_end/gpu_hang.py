#!/usr/bin/env python3
"""A GPU whose driver calls do not return affects only its own series.

gpu_hang.py PERJOULED     PERJOULE_HANG_SECONDS=60 makes it as long as in the soak test
"""
import os
import signal
import statistics
import sys
import time

from harness import Daemon, Tree, check, equal, for_seconds, main, wait_for
from stand_in import PCI, StandIn, on_bus, uuid

PERIOD = 1.0
DEADLINE = 0.9
SICK = 3
SECONDS = float(os.environ.get("PERJOULE_HANG_SECONDS", "6"))
SOAK = SECONDS >= 30
SLACK = 0.1 if SOAK else 0.5  # larger when other tests run at the same time


def late(scrape, above):
    """Calls that began more than `above` seconds after their due time."""
    buckets = {float(labels["le"]): value for labels, value in scrape["perjoule_sampling_lateness_seconds_bucket"]}
    return buckets[float("inf")] - max(value for le, value in buckets.items() if le <= above)


def scrapes(daemon, seconds):
    """Durations in milliseconds of scrapes, ten per second, and the last scrape."""
    lasted = []
    for _ in for_seconds(seconds, every=0.1):
        begin = time.monotonic()
        seen = daemon.scrape()
        lasted.append((time.monotonic() - begin) * 1000)
    return lasted, seen


def last_success(scrape):
    return {labels["device"]: value for labels, value in scrape["perjoule_collector_last_success_timestamp_seconds"]
            if labels["source"] == "nvml"}


def hung(binary, directory):
    tree = Tree(directory)
    gpus = StandIn(binary, directory, "h100")
    on_bus(tree, range(8))
    with Daemon(binary, directory, *tree.flags, *gpus.flags, environment=gpus.environment) as daemon:
        daemon.scrape_until(lambda seen: seen.find("perjoule_gpus") == 8, "eight GPUs answer")
        healthy, before = scrapes(daemon, max(SECONDS, 5))
        gpus.begin(f"hang-{SICK}")
        began = time.monotonic()
        daemon.scrape_until(lambda seen: seen.state("nvml", uuid(SICK)) == "stuck", "the GPU is stuck")
        took = time.monotonic() - began
        # The call that hangs begins at the next due time, and counts as stuck at its deadline.
        check(took < PERIOD + DEADLINE + SLACK, f"stuck after {took:.2f} s")

        sick, during = scrapes(daemon, SECONDS)
        equal(during.state("nvml", uuid(SICK)), "stuck", "state while it hangs")
        equal(during.value("perjoule_gpus"), 7, "GPUs while one hangs")
        equal(during.value("perjoule_gpus_expected"), 8, "GPUs that are expected")
        equal(during.state("nvml"), None, "the source itself has no state")
        check(during.value("perjoule_collector_missed_ticks_total", source="nvml", device=uuid(SICK)) >= SECONDS - 3,
              "ticks of the hung GPU are counted as missed")
        for labels, missed in during["perjoule_collector_missed_ticks_total"]:
            if labels["device"] != uuid(SICK):
                equal(missed, 0, f"missed ticks of {labels}")
        for device, time_of_success in last_success(during).items():
            if device != uuid(SICK):
                check(time_of_success - last_success(before)[device] >= SECONDS - 1, f"{device} went on")
        delayed = late(during, 0.05) - late(before, 0.05)
        check(delayed <= (0 if SOAK else 2), f"{delayed:.0f} calls began more than 50 ms late")
        slowest = max(sick) if SOAK else sorted(sick)[-2]
        check(slowest < 100, f"a scrape took {slowest:.0f} ms")
        ratio = statistics.median(sick) / statistics.median(healthy)
        print(f"scrape medians {statistics.median(healthy):.2f} ms, hung {statistics.median(sick):.2f} ms, "
              f"ratio {ratio:.2f}; slowest {max(sick):.1f} ms; {delayed:.0f} calls late")
        check(ratio <= (1.1 if SOAK else 1.5), f"ratio {ratio:.2f}")
        if SOAK:  # more than stale_after
            equal([1 for labels, _ in during["perjoule_gpu_power_watts"] if labels["uuid"] == uuid(SICK)], [],
                  "power of the hung GPU")

        gpus.end(f"hang-{SICK}")
        released = time.monotonic()
        daemon.scrape_until(lambda seen: seen.state("nvml", uuid(SICK)) == "ok", "the GPU is well again")
        took = time.monotonic() - released
        check(took < 2 * PERIOD + SLACK, f"well again after {took:.2f} s")
        daemon.scrape_until(lambda seen: seen.find("perjoule_gpus") == 8, "eight GPUs answer again", 2)
        equal(len(daemon.wait_lines(f'msg="nvml {uuid(SICK)} stuck"')), 1, "lines that say so")
        equal(len(daemon.lines('msg="nvml stuck"')), 0, "discovery does not wait for it")
        daemon.stop()


def stop_while_hung(binary, directory):
    gpus = StandIn(binary, directory, "h100_idle")
    with Daemon(binary, directory, *Tree(directory).flags, *gpus.flags, environment=gpus.environment) as daemon:
        gpus.begin("hang-0")
        daemon.scrape_until(lambda seen: seen.state("nvml", uuid(0)) == "stuck", "the GPU is stuck")
        daemon.stop(within=2.0)
        check(daemon.wait_lines("still hangs in a driver"), "the log reports the thread left behind")


def seven_answer(daemon, sick, since):
    """The boards beside the hung one are shown within 3 s; it is `stuck` under the name `sick`."""
    def seven(seen):
        return seen.find("perjoule_gpus") == 7 and len(seen["perjoule_gpu_power_watts"]) == 7
    daemon.scrape_until(seven, "seven GPUs answer", 5)
    took = time.monotonic() - since
    check(took < 3 + SLACK, f"seven GPUs after {took:.2f} s")
    seen = daemon.scrape_until(lambda seen: seen.state("nvml", sick) == "stuck", f"{sick} is stuck", 3)
    equal(seen.value("perjoule_gpus_expected"), 8, "GPUs that are expected")
    equal(sorted(int(labels["gpu"]) for labels, _ in seen["perjoule_gpu_power_watts"]),
          [slot for slot in range(8) if slot != SICK], "numbers of those that answer")
    equal(seen.state("nvml"), None, "the source itself has no state")
    return seen


def hung_from_the_start(binary, directory):
    """The first start, a reload that restarts the source, and a restart after an exit that left the thread behind."""
    tree, gpus = Tree(directory), StandIn(binary, directory, "h100")
    on_bus(tree, range(8))
    gpus.begin(f"hang-{SICK}")
    config = directory / "perjoule.json"
    config.write_text("{}")
    start = [binary, directory, f"--config.file={config}", *tree.flags, *gpus.flags]
    address = f"0000:{PCI[SICK]}:00.0"
    with Daemon(*start, environment=gpus.environment) as daemon:
        seven_answer(daemon, address, time.monotonic())
        config.write_text('{"collectors": {"nvml": {"stale_after": "11s"}}}')
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: daemon.lines("configuration reloaded"), "the reload")
        seven_answer(daemon, address, time.monotonic())
        gpus.end(f"hang-{SICK}")
        daemon.scrape_until(lambda seen: seen.find("perjoule_gpus") == 8, "eight GPUs answer", 10)
        gpus.begin(f"hang-{SICK}")
        daemon.scrape_until(lambda seen: seen.state("nvml", uuid(SICK)) == "stuck", "the GPU is stuck")
        config.write_text("{}")
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(daemon.lines("configuration reloaded")) == 2, "the second reload")
        seven_answer(daemon, uuid(SICK), time.monotonic())
        daemon.stop(within=2.0)
        check(daemon.wait_lines("still hangs in a driver"), "a thread was left behind")
    with Daemon(*start, environment=gpus.environment) as daemon:
        seven_answer(daemon, uuid(SICK), time.monotonic())
        gpus.end(f"hang-{SICK}")
        seen = daemon.scrape_until(lambda seen: seen.find("perjoule_gpus") == 8, "eight GPUs answer", 10)
        equal({labels["uuid"]: labels["gpu"] for labels, _ in seen["perjoule_gpu_power_watts"]},
              {uuid(board): str(board) for board in range(8)}, "numbers")
        daemon.stop()


def hung_from_the_start_by_index(binary, directory):
    """Where sysfs lists no board: by NVML's index, each on its own lane too."""
    tree, gpus = Tree(directory), StandIn(binary, directory, "h100")
    gpus.begin(f"hang-{SICK}")
    start = [binary, directory, *tree.flags, *gpus.flags]
    with Daemon(*start, environment=gpus.environment) as daemon:
        since = time.monotonic()
        daemon.scrape_until(lambda seen: seen.find("perjoule_gpus") == 7, "seven GPUs answer", 5)
        check(time.monotonic() - since < 3 + SLACK, "in time")
        equal(daemon.scrape().state("nvml", f"index {SICK}"), "stuck", "the state of the hung one")
        gpus.end(f"hang-{SICK}")
        seen = daemon.scrape_until(lambda seen: seen.find("perjoule_gpus") == 8, "eight GPUs answer", 10)
        equal({labels["uuid"]: labels["gpu"] for labels, _ in seen["perjoule_gpu_power_watts"]},
              {uuid(board): str(board) for board in range(8)}, "numbers")
        daemon.stop()
    gpus.begin(f"hang-{SICK}")
    with Daemon(*start, environment=gpus.environment) as daemon:
        seven_answer(daemon, uuid(SICK), time.monotonic())
        gpus.end(f"hang-{SICK}")


def start_while_it_hangs(binary, directory):
    """NVML initialisation hangs: every board is stuck, the log names the call, and all are read when it returns."""
    tree, gpus = Tree(directory), StandIn(binary, directory, "h100_idle")
    on_bus(tree, range(8))
    gpus.begin("hang-init")
    with Daemon(binary, directory, *tree.flags, *gpus.flags, environment=gpus.environment) as daemon:
        seen = daemon.scrape()
        for board in range(8):
            equal(seen.state("nvml", f"0000:{PCI[board]}:00.0"), "stuck", f"state of board {board}")
        equal(seen.state("nvml"), None, "state of the source")
        equal(len(daemon.wait_lines("stuck", "nvmlInit has not returned")), 8, "lines that name the call")
        gpus.end("hang-init")
        daemon.scrape_until(lambda seen: seen.find("perjoule_gpus") == 8, "eight GPUs answer", 5)
        daemon.stop()


if __name__ == "__main__":
    sys.exit(main([hung] if SOAK else [hung, stop_while_hung, hung_from_the_start, hung_from_the_start_by_index,
                                            start_while_it_hangs]))
