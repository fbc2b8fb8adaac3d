#!/usr/bin/env python3
"""Eight GPUs in the real daemon: every value is that of the scenario, in base units."""
import json
import re
import sys
import time

from harness import Daemon, Tree, check, equal, main, run
from stand_in import PCI, StandIn, on_bus, uuid

REASONS = ["hw_power_brake", "hw_thermal", "sw_power_cap", "sw_thermal", "sync_boost"]


def expected_gauges(scenario, board):
    """The expected gauges of a GPU of the scenario: family -> {labels: value}."""
    have = json.loads(scenario.read_text())
    have = have["defaults"] | have["gpus"][board]
    power = {"": have["power"]}
    return {
        "perjoule_gpu_power_watts": power,
        "perjoule_gpu_power_instant_watts": {"": have["power_instant"]},
        "perjoule_gpu_power_limit_watts": {"": have["power_limit"]},
        "perjoule_gpu_power_limit_default_watts": {"": have["power_limit_default"]},
        "perjoule_gpu_power_limit_min_watts": {"": have["power_limit_min"]},
        "perjoule_gpu_power_limit_max_watts": {"": have["power_limit_max"]},
        "perjoule_gpu_temperature_celsius": {"core": have["temperature"], "memory": have["memory_temperature"]},
        "perjoule_gpu_thermal_margin_celsius": {"": have["margin"] - have["margin_slowdown"]},
        "perjoule_gpu_utilization_ratio": {"": have["utilization"]},
        "perjoule_gpu_engine_utilization_ratio": {"memory": have["memory_utilization"]} | {
            engine: have[engine] for engine in ("encoder", "decoder", "jpeg", "ofa")},
        "perjoule_gpu_memory_used_bytes": {"": have["memory_used"]},
        "perjoule_gpu_memory_total_bytes": {"": have["memory_total"]},
        "perjoule_gpu_clock_hertz": {domain: have[f"clock_{domain}"] for domain in ("sm", "memory", "video")},
        "perjoule_gpu_clock_idle_active": {"": have["idle"]},
        "perjoule_gpu_processes": {"": have["processes"]},
        "perjoule_gpu_throttle_active": {reason: 1 if have.get(reason, 0) > 0 else 0 for reason in REASONS},
    }


def eight(binary, directory, scenario):
    tree = Tree(directory)
    gpus = StandIn(binary, directory, scenario)
    with Daemon(binary, directory, *tree.flags, *gpus.flags, environment=gpus.environment) as daemon:
        seen = daemon.scrape_until(lambda s: len(s["perjoule_gpu_energy_joules_total"]) == 8 and
                                   s.find("perjoule_gpus") == 8, "eight GPUs are shown")
        for board in range(8):
            labels = {"gpu": str(board), "uuid": uuid(board)}
            for family, series in expected_gauges(gpus.scenario, board).items():
                shown = {}
                for have, value in seen[family]:
                    if labels.items() <= have.items():
                        rest = [have[label] for label in have if label not in labels]
                        shown[rest[0] if rest else ""] = value
                equal(shown, series, f"{family} of {board}")
            info = [have for have, value in seen["perjoule_gpu_info"] if labels.items() <= have.items()]
            equal([(i["name"], i["vendor"], i["driver_version"], i["pci_bus_id"]) for i in info],
                  [("NVIDIA H100 80GB HBM3", "nvidia", "590.48.01", f"0000:{PCI[board]}:00.0")], f"info of {board}")
            equal(seen.state("nvml", uuid(board)), "ok", f"state of {board}")
        equal(seen.value("perjoule_gpus_expected"), 8, "GPUs that are expected")

        # Over ten seconds the counters give the scenario's mean power, and throttle time grows by its share.
        begin = time.monotonic()
        while time.monotonic() - begin < 10:
            last = daemon.scrape()
            time.sleep(0.2)
        for board in range(8):
            expected_watts = expected_gauges(gpus.scenario, board)["perjoule_gpu_power_watts"][""]
            joules = (last.value("perjoule_gpu_energy_joules_total", uuid=uuid(board)) -
                      seen.value("perjoule_gpu_energy_joules_total", uuid=uuid(board)))
            seconds = round(joules / expected_watts, 1)
            # Counters of the ledger are shown once a second, so both ends may be off by one second.
            check(8 <= seconds <= 12.5, f"{joules} J of {board} are {seconds} s at {expected_watts} W")
            by_source = last.value("perjoule_energy_by_source_joules_total", device=uuid(board), source="counter")
            equal(by_source, last.value("perjoule_gpu_energy_joules_total", uuid=uuid(board)), "energy by source")
        daemon.stop()


def load(binary, directory):
    eight(binary, directory, "h100_load")


def idle(binary, directory):
    eight(binary, directory, "h100_idle")


def commands(binary, directory):
    gpus = StandIn(binary, directory, "h100_idle")
    tree = Tree(directory)
    flags = [*tree.flags, *gpus.flags, "--no-storage"]
    done = run([binary, "once", "--format=json", *flags], environment=gpus.environment)
    samples = json.loads(done.stdout)["samples"]
    equal(sum(s["metric"] == "perjoule_gpu_power_watts" for s in samples), 8, "powers in once")
    equal([s["value"] for s in samples if s["metric"] == "perjoule_gpus"], [8], "GPUs in once")
    done = run([binary, "doctor", *flags], environment=gpus.environment)
    equal(len(re.findall(r"(?m)^read +nvml +GPU \d ", done.stdout)), 8, f"lines of doctor {done.stdout}")

    gpus = StandIn(binary, directory, "mismatch")
    on_bus(tree, range(2))
    done = run([binary, "doctor", *flags], environment=gpus.environment)
    equal(done.returncode, 1, "doctor's exit code")
    check("NVML_ERROR_LIB_RM_VERSION_MISMATCH (18)" in done.stdout and "remedy: reboot" in done.stdout, done.stdout)

    done = run([binary, "doctor", *tree.flags, "--no-storage", "--path.nvml=libno-such-library.so.1"])
    equal(len(re.findall(r"(?m)^absent +nvml +GPU \d ", done.stdout)), 2, f"boards without a library {done.stdout}")


def variety(binary, directory):
    """GPUs that lack values or return garbage: the daemon works, and shows no value that it does not have."""
    for scenario, absent in (("consumer", "perjoule_gpu_module_power_watts"),
                             ("old", "perjoule_gpu_throttled_seconds_total"),
                             ("missing_symbols", "perjoule_gpu_utilization_ratio"),
                             ("garbage", "perjoule_gpu_power_watts"), ("none", "perjoule_gpu_info")):
        home = directory / scenario
        home.mkdir()
        gpus = StandIn(binary, home, scenario)
        with Daemon(binary, home, *Tree(home).flags, *gpus.flags, environment=gpus.environment) as daemon:
            seen = daemon.scrape_until(lambda s: s.find("perjoule_gpus_expected") is not None or
                                       s.state("nvml") == "absent", f"{scenario}: settled")
            equal(seen[absent], [], f"{scenario}: {absent}")
            equal(seen.find("perjoule_gpus"), None if scenario == "none" else 1, f"{scenario}: GPUs")
            if scenario == "garbage":
                check(seen.value("perjoule_collector_faults_total", source="nvml", device=uuid(0)) >= 9, "refusals")
            daemon.stop()


if __name__ == "__main__":
    sys.exit(main([load, idle, commands, variety]))
