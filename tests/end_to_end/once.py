#!/usr/bin/env python3
"""`perjouled once` on the capture of a real host's procfs and sysfs, in its three formats."""
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import time

from harness import (REPOSITORY, Daemon, Scrape, Skip, Tree, check, clean_environment, equal, main, run, said, wait_for,
                     without_installed_file)
from stand_in import PCI, StandIn, on_bus

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
    equal(scrape.value("perjoule_temperature_celsius", chip="bcm2835_thermal"), 49.925, "zone 0")
    equal(scrape.value("perjoule_temperature_celsius", chip="acpitz"), -44, "zone 1")
    # The chip is found below devices/ only: the capture has no class/hwmon.
    equal(scrape.value("perjoule_temperature_celsius", sensor="Composite", role="nvme"), 43.85, "nvme")
    for device in ("package-0", "package-10"):
        equal(scrape.state("rapl", device), "ok", f"state of {device}")


def as_json(binary, _):
    printed = json.loads(once(binary, "json"))
    zones = {sample["labels"]["chip"]: sample["value"] for sample in printed["samples"]
             if sample["metric"] == "perjoule_temperature_celsius"}
    equal((zones["bcm2835_thermal"], zones["acpitz"]), (49.925, -44), "zones")
    states = {(source["source"], source["device"]): source["state"] for source in printed["sources"]}
    equal(states["rapl", "package-10"], "ok", "state of package-10")
    check(printed["time"] > 1.7e9, "time of the samples")


def table(binary, directory):
    """The capture is of one moment, so its counters stand still and its power is unknown; those of a recording move."""
    verdict = once(binary, "table").splitlines()[0]
    equal(verdict, "OK: no GPU, power unknown", "of a moment")
    recording(directory / "host", [100, 350, 400], packages=(0, 10))
    ended = run([binary, "once", f"--replay={directory / 'host'}"])
    verdict, blank, header, *rows = ended.stdout.splitlines()
    equal((verdict, blank, header.split()[0]), ("OK: no GPU, 100 % of power measured", "", "DEVICE"), "its beginning")
    equal([row.split(" ")[0] for row in rows], ["node", "cpu", "cpu"], rows)
    equal([row.split()[1] for row in rows[1:]], ["0", "10"], "packages")


def scenario_values(gpus, second):
    """What the scenario plays at `second`, a list of dictionaries by slot."""
    scenario = json.loads(gpus.scenario.read_text())

    def at(quantity):
        if not isinstance(quantity, dict):
            return quantity
        points = quantity.get("points") or quantity["steps"]
        return [value for when, value in points if when <= second][-1]

    return [{key: at(value) for key, value in (scenario["defaults"] | board).items()} for board in scenario["gpus"]]


def near(shown, played, what):
    check(abs(shown - played) <= 0.02 * abs(played), f"{what}: {shown} for {played}")


def compare(printed, boards):
    """A table of `once` with the boards of a scenario."""
    lines = printed.splitlines()
    check(len(lines) <= 30 and max(map(len, lines)) <= 100, f"{len(lines)} lines\n{printed}")
    equal(lines[0], f"OK: {len(boards)} of {len(boards)} GPUs, 99 % of power measured", printed)
    rows = lines[3:]
    devices = [" ".join(row.split()[:2]) for row in rows if not row.startswith("node")]
    packages = [device for device in devices if device.startswith("cpu")]
    check(rows[0].startswith("node "), printed)
    equal(devices, packages + [f"gpu {slot}" for slot in range(len(boards))], printed)
    number = r"([\d.]+)"
    cpu = sum(float(re.search(rf"{number} W", row)[1]) for row in rows if row.startswith("cpu"))
    near(float(re.search(rf"{number} W", rows[0])[1]), cpu + sum(board["power"] for board in boards), "node")
    for row, board in zip((row for row in rows if row.startswith("gpu")), boards):
        cells = re.search(rf"{number} W +{number} W +{number} C +{number} C +{number} % +{number}/{number} GiB +"
                          rf"{number} GHz", row)
        check(cells, row)
        watts, limit, core, memory, busy, used, total, clock = map(float, cells.groups())
        near(watts, board["power"], row)
        near(limit, board["power_limit"], row)
        near(busy, 100 * board["utilization"], row)
        near(used, board["memory_used"] / 2**30, row)
        near(total, board["memory_total"] / 2**30, row)
        near(clock, board["clock_sm"] / 1e9, row)
        check(abs(core - board["temperature"]) <= 2 and abs(memory - board["memory_temperature"]) <= 2, row)


def eight_gpus(binary, directory):
    """Node power in every run, every figure as the scenario plays it, GPUs by slot; twenty runs of each scenario."""
    for name in ("h100", "h100_load"):
        gpus = StandIn(binary, directory, name)

        def one(_, gpus=gpus):
            environment = gpus.environment
            environment.pop("NVML_STAND_IN_EPOCH")  # each run begins at second 0
            return run([binary, "once", "--no-storage", f"--path.sysfs={directory}", *gpus.flags],
                       environment=environment)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for ended in pool.map(one, range(20)):
                equal((ended.returncode, said(ended)), (0, ""), "once")
                compare(ended.stdout, scenario_values(gpus, 2))


def node_power_in_every_form(binary, directory):
    gpus = StandIn(binary, directory, "h100_load")
    words = [binary, "once", "--no-storage", f"--path.sysfs={directory}", *gpus.flags]
    for _ in range(3):
        shown = Scrape(run([*words, "--format=prometheus"], environment=gpus.environment).stdout)
        node = sum(value for _, value in shown["perjoule_node_power_watts"])
        near(node, sum(value for family in ("perjoule_gpu_power_watts", "perjoule_cpu_package_power_watts")
                       for _, value in shown[family]), "the node is the sum of its parts")
        printed = json.loads(run([*words, "--format=json"], environment=gpus.environment).stdout)
        equal(printed["verdict"], "OK: 8 of 8 GPUs, 99 % of power measured", "verdict")
        equal(sum(sample["metric"] == "perjoule_node_power_watts" for sample in printed["samples"]), 1, "node")


def a_sick_gpu(binary, directory):
    """It has its line, and is a problem by name."""
    gpus = StandIn(binary, directory, "h100_load")
    tree = Tree(directory)
    on_bus(tree, range(8))
    with Daemon(binary, directory, *tree.flags, *gpus.flags, environment=gpus.environment) as daemon:
        daemon.scrape_until(lambda seen: seen.find("perjoule_gpus") == 8, "eight GPUs")
        wait_for(lambda: (directory / "store/ledger.db").exists(), "the ledger")
        time.sleep(2)  # the inventory is committed
        daemon.stop()
    gpus.begin("lost-5")
    ended = run([binary, "once", *tree.flags, *gpus.flags, f"--storage.path={directory / 'store'}"],
                environment=gpus.environment)
    lines = ended.stdout.splitlines()
    check(re.match(rf"1 problem: GPU 5 \(0000:{PCI[5]}:00.0\) \w+$", lines[0]), ended.stdout)
    rows = [line for line in lines if line.startswith("gpu ")]
    equal([row.split()[1] for row in rows], [str(slot) for slot in range(8)], ended.stdout)
    check(" W " not in rows[5], rows[5])
    check("`perjouled doctor` has the remedies." in lines and len(lines) <= 30, ended.stdout)


def watch(binary, directory):
    gpus = StandIn(binary, directory, "h100_load")
    command = without_installed_file([binary, "once", "--watch", "--no-storage", f"--path.sysfs={directory}",
                                      *gpus.flags])
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=clean_environment(gpus.environment)) as process:
        tables = 0
        begin = time.monotonic()
        for line in process.stdout:
            tables += line.startswith("node ")
            if tables == 4:
                break
        took = time.monotonic() - begin
        check(3 < took < 8, f"four tables took {took:.1f} s")
        process.send_signal(signal.SIGINT)
        equal(process.wait(5), 0, "exit code")


def recording(directory, joules, packages=(0,)):
    """A host for each of `joules`, what the counters of its packages have counted by that second."""
    for second, counted in enumerate(joules):
        tree = Tree(directory / str(second))
        for package in packages:
            tree.package(package, counted * 1000000)
        (directory / f"{second}/t").mkdir()
        (directory / f"{second}/t/site.prom").write_text("perjoule_facility_power_watts{category=\"it\"} 4000\n")


def replay(binary, directory):
    """The seconds of a recorded host, and nothing of this one."""
    recording(directory / "host", [100, 350, 400, 550])
    flags = ["--collector.textfile.directory=/t", f"--storage.path={directory / 'no-such-directory'}"]
    words = [binary, "once", "--replay=host", *flags]
    ended = run([*words, "--format=prometheus"], cwd=directory)
    equal((ended.returncode, said(ended)), (0, ""), "once --replay")
    seen = Scrape(ended.stdout)
    equal(seen.value("perjoule_cpu_package_energy_joules_total", package="0"), 450, "joules from first to last")
    near(seen.value("perjoule_cpu_package_power_watts", package="0"), 150, "watts of the last second")
    equal(seen.value("perjoule_facility_power_watts", category="it"), 4000, "a file of the recorded host")
    for source in ("cpu", "hwmon", "thermal_zone", "nvml"):
        equal(seen.state(source), "absent", f"{source}, which was not recorded")
    shown = run([*words, "--watch"], cwd=directory)
    equal((shown.returncode, shown.stdout.count("\nnode ")), (0, 3), f"a table for each second: {shown.stdout}")


def replay_with_gpus(binary, directory):
    """A case as it is passed on: files and a scenario. No code of it is loaded: the user names the stand-in."""
    gpus = StandIn(binary, directory, "h100_load")
    tree = Tree(directory / "case")
    on_bus(tree, range(8))
    (directory / "case/scenario.json").write_text(gpus.scenario.read_text())
    (directory / "case/libnvidia-ml.so.1").write_bytes(gpus.library.read_bytes())
    ended = run([binary, "once", "--replay=case"], cwd=directory)
    check(ended.returncode == 0 and "scenario.json: not played" in ended.stderr, ended.stderr)
    check("8 problems" in ended.stdout or "0 of 8 GPUs" in ended.stdout, ended.stdout)
    library = os.path.relpath(gpus.library, directory)
    ended = run([binary, "once", "--replay=case", f"--path.nvml={library}"], cwd=directory)
    equal((ended.returncode, said(ended)), (0, ""), "once --replay --path.nvml")
    check(re.match("OK: 8 of 8 GPUs", ended.stdout), ended.stdout)


def replay_refuses(binary, directory):
    (directory / "empty").mkdir()
    (directory / "empty/x").mkdir()
    for words, message in ([f"--replay={directory / 'absent'}"], "No such file or directory"), \
            ([f"--replay={directory / 'empty'}"], "expected the folders sys and proc"), \
            (["--replay="], "the directory's name is empty"), \
            (["--replay=.", "--path.sysfs=/sys"], "--path.sysfs: not together with --replay"):
        ended = run([binary, "once", *words])
        check(ended.returncode == 2 and message in ended.stderr, f"{words}: {ended.returncode} {ended.stderr}")


if __name__ == "__main__":
    sys.exit(main([prometheus, as_json, table, eight_gpus, node_power_in_every_form, a_sick_gpu, watch, replay,
                   replay_with_gpus, replay_refuses]))
