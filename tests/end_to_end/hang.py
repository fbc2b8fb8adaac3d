#!/usr/bin/env python3
"""A sensor that never answers affects only its own series. A FIFO without a writer stands in for it."""
import sys
import time

from harness import Daemon, Tree, check, equal, for_seconds, main

PERIOD = 1.0
DEADLINE = {"thermal_zone": 0.5, "rapl": 0.9}
SLACK = 0.5  # because other tests run at the same time
FLAGS = ("--collector.thermal_zone.period=1s", "--collector.thermal_zone.deadline=500ms")


def host(directory):
    tree = Tree(directory)
    tree.zone(0, "x86_pkg_temp", 41000)
    tree.zone(1, "acpitz", 27800)
    tree.package(0, 1000000)
    tree.package(1, 2000000)
    tree.chip(0, "k10temp", {"temp1_input": 52000, "temp1_label": "Tctl"})
    return tree


def tick_times(scrape):
    """(source, device) -> time of its last success."""
    return {(labels["source"], labels["device"]): value
            for labels, value in scrape["perjoule_collector_last_success_timestamp_seconds"]}


def contained(binary, directory, source, device, file, text, family):
    tree = host(directory)
    hung = tree.fifo(file)
    with Daemon(binary, directory, *tree.flags, *FLAGS, wait=False) as daemon:
        daemon.wait_listening()
        begin = time.monotonic()
        daemon.scrape_until(lambda seen: seen.state(source, device) == "stuck", f"{device} is stuck")
        took = time.monotonic() - begin
        allowed = PERIOD + DEADLINE[source] + SLACK
        check(took < allowed, f"stuck after {took:.2f} s, {allowed} s are allowed")
        daemon.wait_ready()

        # A scrape may be up to 100 ms old, because renderings are reused, and so older than the moment of readiness.
        before = daemon.scrape_until(lambda seen: ("hwmon", "k10temp") in tick_times(seen), "hwmon delivers")
        lasted = []
        for _ in for_seconds(5, every=0.1):
            start = time.monotonic()
            seen = daemon.scrape()
            lasted.append(time.monotonic() - start)
            equal(seen.state(source, device), "stuck", f"state of {device}")
        # A loaded machine may delay single requests.
        slowest = sorted(lasted)[-2]
        check(slowest < 0.1, f"/metrics took {slowest * 1000:.0f} ms")
        after = daemon.scrape()
        check(after.value("perjoule_collector_missed_ticks_total", source=source, device=device) >= 3, "missed ticks")
        for labels, missed in after["perjoule_collector_missed_ticks_total"]:
            if (labels["source"], labels["device"]) != (source, device):
                equal(missed, 0, f"missed ticks of {labels}")
        for (of, item), at in tick_times(after).items():
            expected = 0 if of == "hwmon" else 3  # hwmon is sampled every five seconds
            check(at - tick_times(before)[of, item] >= expected, f"{of} {item} went on")
        equal(after.value("perjoule_temperature_celsius", sensor="Tctl"), 52, "another chip")
        equal([labels for labels, _ in after[family[0]] if family[1].items() <= labels.items()], [],
              f"{device} shows nothing")

        tree.release(hung, text)
        released = time.monotonic()
        daemon.scrape_until(lambda seen: seen.state(source, device) == "ok", f"{device} is well again")
        took = time.monotonic() - released
        check(took < 2 * PERIOD + SLACK, f"well again after {took:.2f} s")
        log = daemon.wait_lines(f'msg="{source} {device} stuck"')
        equal(len(log), 1, f"lines that say so {log}")
        daemon.stop()


def thermal_zone(binary, directory):
    contained(binary, directory, "thermal_zone", "thermal_zone1", "class/thermal/thermal_zone1/temp", 27900,
              ("perjoule_temperature_celsius", {"chip": "acpitz"}))


def energy_of_a_package(binary, directory):
    contained(binary, directory, "rapl", "package-0", "class/powercap/intel-rapl:0/energy_uj", 1500000,
              ("perjoule_cpu_package_energy_joules_total", {"package": "0"}))


def ends_in_time(binary, directory):
    tree = host(directory)
    tree.fifo("class/thermal/thermal_zone0/temp")
    with Daemon(binary, directory, *tree.flags, *FLAGS) as daemon:
        daemon.scrape_until(lambda seen: seen.state("thermal_zone", "thermal_zone0") == "stuck", "a hung lane")
        daemon.stop(within=2.0)
        check(daemon.wait_lines("still hangs in a driver"), "the log says what was left behind")


if __name__ == "__main__":
    sys.exit(main([thermal_zone, energy_of_a_package, ends_in_time]))
