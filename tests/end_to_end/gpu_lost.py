#!/usr/bin/env python3
"""GPUs that disappear and return: the counts are right at each step, no total decreases, slots stay."""
import json
import shutil
import sys

from harness import Daemon, Tree, check, equal, main, run, wait_for
from stand_in import StandIn, counters, on_bus, uuid


class Watch:
    """Checks that no persisted counter decreases from one scrape to the next."""

    def __init__(self):
        self.seen = {}

    def energy(self, device):
        return next(value for (name, *labels), value in self.seen.items()
                    if name == "perjoule_gpu_energy_joules_total" and ("uuid", device) in labels)

    def look(self, scrape):
        for key, value in counters(scrape).items():
            check(value >= self.seen.get(key, 0), f"{key} fell from {self.seen.get(key)} to {value}")
            self.seen[key] = value
        return scrape


def slots(scrape):
    return {labels["uuid"]: labels["gpu"] for labels, _ in scrape["perjoule_gpu_info"]}


def counts(scrape):
    return scrape.find("perjoule_gpus"), scrape.find("perjoule_gpus_expected")


def firing(daemon):
    alerts = json.loads(daemon.get("/api/v1/alerts")[2])["data"]["alerts"]
    return [alert for alert in alerts if alert["state"] == "firing"]


def wait_counts(daemon, watch, answer, expected, seconds=15):
    def there(scrape):
        watch.look(scrape)
        return counts(scrape) == (answer, expected) and len(scrape["perjoule_gpu_info"]) == answer

    return daemon.scrape_until(there, f"{answer} of {expected} GPUs", seconds)


def lost_and_back(binary, directory):
    tree, gpus, watch = Tree(directory), StandIn(binary, directory, "h100_load"), Watch()
    on_bus(tree, range(8))
    with Daemon(binary, directory, *tree.flags, *gpus.flags, environment=gpus.environment) as daemon:
        wait_counts(daemon, watch, 8, 8)
        gpus.begin("lost-2")
        seen = wait_counts(daemon, watch, 7, 8, 3)
        equal(seen.state("nvml", uuid(2)), "error", "state of the lost GPU")
        equal([labels for labels, _ in seen["perjoule_gpu_power_watts"] if labels["uuid"] == uuid(2)], [], "its power")
        check("2" not in slots(seen).values(), "its slot is not given to another GPU")
        lost = wait_for(lambda: firing(daemon), "the alert, at once", 3)
        equal([(alert["labels"]["alertname"], alert["labels"]["uuid"]) for alert in lost],
              [("PerjouleGpuLost", uuid(2))], "alerts")
        equal(lost[0]["annotations"]["summary"],
              f"GPU 2 is lost: the board {uuid(2)} at 0000:3a:00.0 does not answer.", "its summary")
        check(any("GPU_IS_LOST" in line and "dmesg" in line for line in daemon.lines(f"nvml {uuid(2)} error")),
              "the log says what to do")
        gpus.end("lost-2")
        seen = wait_counts(daemon, watch, 8, 8, 20)
        equal(slots(seen), {uuid(board): str(board) for board in range(8)}, "slots")
        wait_for(lambda: not firing(daemon), "the alert ends")
        daemon.stop()


def driver_reload(binary, directory):
    """On a host whose sysfs is empty GPUs are found by index. The scenario unloads the driver at second 10."""
    tree, gpus, watch = Tree(directory), StandIn(binary, directory, "reload"), Watch()
    with Daemon(binary, directory, *tree.flags, *gpus.flags, environment=gpus.environment) as daemon:
        first = slots(wait_counts(daemon, watch, 4, 4))
        wait_counts(daemon, watch, 0, 4, 15)
        before = watch.energy(uuid(3))
        seen = wait_counts(daemon, watch, 4, 4, 40)  # discovery is repeated after 5, 10, 20 s
        equal(slots(seen), first, "slots")
        # The first energy that is shown again was booked before the driver went; the gap is decided by the next read.
        daemon.scrape_until(lambda s: (watch.look(s).find("perjoule_gpu_energy_joules_total", uuid=uuid(3)) or 0) >
                            before + 2000, "energy goes on", 10)
        unobserved = daemon.scrape().value("perjoule_energy_unobserved_seconds_total", device=uuid(3))
        check(4 <= unobserved < 40, f"the gap is counted: {unobserved} s")
        daemon.stop()


def driver_comes_late(binary, directory):
    tree, gpus, watch = Tree(directory), StandIn(binary, directory, "h100_idle"), Watch()
    on_bus(tree, range(8))
    gpus.begin("unloaded")
    with Daemon(binary, directory, *tree.flags, *gpus.flags, environment=gpus.environment) as daemon:
        seen = daemon.scrape_until(lambda s: counts(s) == (0, 8), "no driver, and eight boards on the bus")
        equal(seen.state("nvml"), "error", "state of the source")
        check(any("modprobe nvidia" in line for line in daemon.lines('msg="nvml error"')), "the remedy")
        gpus.end("unloaded")
        seen = wait_counts(daemon, watch, 8, 8, 20)
        equal(seen.state("nvml"), None, "each GPU has its own state, the source has none")
        daemon.stop()


def restart_without_one(binary, directory):
    tree, gpus, watch = Tree(directory), StandIn(binary, directory, "h100_load"), Watch()
    on_bus(tree, range(8))
    start = [binary, directory, *tree.flags, *gpus.flags]
    with Daemon(*start, environment=gpus.environment) as daemon:
        first = wait_counts(daemon, watch, 8, 8)
        daemon.stop()
    # The GPU in slot 1 is removed: it is neither on the bus nor known to the driver.
    gpus.begin("gone-1")
    shutil.rmtree(tree.sysfs / "bus/pci/devices/0000:2a:00.0")
    with Daemon(*start, environment=gpus.environment) as daemon:
        seen = wait_counts(daemon, watch, 7, 8)
        equal(slots(seen), {key: slot for key, slot in slots(first).items() if slot != "1"}, "slots stay")
        equal(seen.find("perjoule_gpu_energy_joules_total", uuid=uuid(1)), None, "a removed GPU has no series")
        daemon.process.kill()
        daemon.wait_exit()
    gpus.end("gone-1")
    on_bus(tree, [1])
    with Daemon(*start, environment=gpus.environment) as daemon:
        equal(slots(wait_counts(daemon, watch, 8, 8)), slots(first), "the board is back in its slot")
        daemon.stop()


def accept_inventory(binary, directory):
    tree, gpus, watch = Tree(directory), StandIn(binary, directory, "h100_load"), Watch()
    on_bus(tree, range(8))
    start = [binary, directory, *tree.flags, *gpus.flags]
    command = [binary, "accept-inventory", f"--storage.path={directory / 'store'}"]
    with Daemon(*start, environment=gpus.environment) as daemon:
        wait_counts(daemon, watch, 8, 8)
        daemon.stop()
    for board in (0, 4):
        gpus.begin(f"gone-{board}")
    shutil.rmtree(tree.sysfs / "bus/pci/devices/0000:18:00.0")
    shutil.rmtree(tree.sysfs / "bus/pci/devices/0000:9a:00.0")
    with Daemon(*start, environment=gpus.environment) as daemon:
        kept = slots(wait_counts(daemon, watch, 6, 8))
        done = run(command)
        equal((done.returncode, "accepts the GPUs present now" in done.stdout), (0, True), f"{done}")
        equal(slots(wait_counts(daemon, watch, 6, 6, 5)), kept, "slots of the others stay")
        check(daemon.wait_lines("inventory accepted", "gpus_expected=6", "before=8"), "the log says it")
        check(not (directory / "store/accept-inventory").exists(), "the request is done")
        daemon.stop()
    with Daemon(*start, environment=gpus.environment) as daemon:
        equal(slots(wait_counts(daemon, watch, 6, 6)), kept, "slots after a restart")
        daemon.stop()
    # Without a running daemon the next start handles the request; a larger configured number takes precedence.
    gpus.begin("gone-7")
    shutil.rmtree(tree.sysfs / "bus/pci/devices/0000:db:00.0")
    done = run(command)
    equal((done.returncode, "the next start" in done.stdout), (0, True), f"{done}")
    with Daemon(*start, "--collector.nvml.expected=7", environment=gpus.environment) as daemon:
        wait_counts(daemon, watch, 5, 7)
        daemon.stop()
    with Daemon(*start, environment=gpus.environment) as daemon:
        wait_counts(daemon, watch, 5, 5)
        daemon.stop()
    done = run([binary, "accept-inventory", f"--storage.path={directory / 'nowhere'}"])
    equal((done.returncode, "--storage.path" in done.stderr), (1, True), done.stderr)


if __name__ == "__main__":
    sys.exit(main([lost_and_back, driver_reload, driver_comes_late, restart_without_one, accept_inventory]))
