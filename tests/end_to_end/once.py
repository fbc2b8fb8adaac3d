#!/usr/bin/env python3
"""`perjouled once` on the capture of a real host's procfs and sysfs, in its three formats."""
import json
import sys

from harness import REPOSITORY, Scrape, Skip, check, equal, main, run, said

CAPTURE = REPOSITORY.parent / "shared/data/host/procfs"


def once(binary, form):
    if not CAPTURE.is_dir():
        raise Skip(f"needs the capture {CAPTURE}")
    ended = run([binary, "once", f"--format={form}", f"--path.sysfs={CAPTURE / 'sys'}",
                 f"--path.procfs={CAPTURE / 'proc'}"])
    equal((ended.returncode, said(ended)), (0, ""), f"once --format={form}")
    return ended.stdout


def prometheus(binary, _):
    scrape = Scrape(once(binary, "prometheus"))
    for package in ("0", "10"):
        scrape.value("perjoule_cpu_package_energy_joules_total", package=package, source="rapl")
    scrape.value("perjoule_cpu_core_energy_joules_total", package="0")
    equal(scrape.value("perjoule_temperature_celsius", sensor="thermal_zone0"), 49.925, "zone 0")
    equal(scrape.value("perjoule_temperature_celsius", sensor="thermal_zone1"), -44, "zone 1")
    # The chip is found below devices/ only: the capture has no class/hwmon.
    equal(scrape.value("perjoule_temperature_celsius", sensor="Composite", role="nvme"), 43.85, "nvme")
    for device in ("package-0", "package-10"):
        equal(scrape.state("rapl", device), "ok", f"state of {device}")


def as_json(binary, _):
    printed = json.loads(once(binary, "json"))
    zones = {sample["labels"]["sensor"]: sample["value"] for sample in printed["samples"]
             if sample["metric"] == "perjoule_temperature_celsius"}
    equal((zones["thermal_zone0"], zones["thermal_zone1"]), (49.925, -44), "zones")
    states = {(source["source"], source["device"]): source["state"] for source in printed["sources"]}
    equal(states["rapl", "package-10"], "ok", "state of package-10")
    check(printed["time"] > 1.7e9, "time of the samples")


def table(binary, _):
    printed = once(binary, "table")
    for word in ("perjoule_temperature_celsius", 'package="10"', "49.925", "celsius"):
        check(word in printed, f"the table lacks {word}")


if __name__ == "__main__":
    sys.exit(main([prometheus, as_json, table]))
