#!/usr/bin/env python3
"""The example configuration of Alertmanager: amtool accepts it, every severity takes its route, a node stands for its
GPUs and critical for a warning, and eight GPUs with the same trouble are one message."""
import json
import re
import shutil
import subprocess
import sys
import urllib.request

from harness import REPOSITORY, Skip, check, equal, main, wait_for
from receivers import Alertmanager, Hook

EXAMPLE = REPOSITORY / "deploy/alertmanager.example.yml"


def amtool(*words):
    program = shutil.which("amtool")
    if not program:
        raise Skip("needs amtool")
    return subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=False)


def the_example_is_valid(_binary, _directory):
    checked = amtool("check-config", EXAMPLE)
    equal(checked.returncode, 0, checked.stdout + checked.stderr)
    for severity, receiver in (("critical", "pager"), ("warning", "tickets"), ("info", "nowhere")):
        route = amtool("config", "routes", "test", f"--config.file={EXAMPLE}", f"--verify.receivers={receiver}",
                       f"severity={severity}", "alertname=PerjouleGpuLost", "instance=node1:10190")
        equal(route.returncode, 0, f"{severity}: {route.stdout}{route.stderr}")


def alert(name, severity, board=None, instance="node1:10190", **more):
    labels = {"alertname": name, "severity": severity, "instance": instance, "source": "perjouled", **more}
    if board is not None:
        labels |= {"gpu": str(board), "uuid": f"GPU-{board}"}
    return labels


# Of each group the first alert is active, and the others are suppressed.
GROUPS = [
    [alert("PerjouleGpuPowerBrake", "critical", 1), alert("PerjouleGpuPowerBrake", "warning", 1)],
    [alert("PerjouleGpusLost", "critical"), alert("PerjouleGpuLost", "critical", 0, pci_bus_id="0000:18:00.0"),
     alert("PerjouleSensorStale", "warning", 0), alert("PerjouleSourceFailing", "warning", 0, state="error")],
    [alert("PerjouleGpuLost", "critical", 2, "node2:10190", pci_bus_id="0000:18:00.0"),
     alert("PerjouleSensorStale", "warning", 2, "node2:10190"),
     alert("PerjouleSourceStuck", "warning", 2, "node2:10190", state="stuck")],
    [alert("PerjouleSensorStale", "warning", 3, "node2:10190")],  # another board
    [alert("PerjouleSourceStuck", "warning", None, "node1:10190", device="nct6779", state="stuck")],  # no GPU at all
    [alert("PerjouleGpusOverheated", "critical"), alert("PerjouleGpusHot", "warning"),
     alert("PerjouleGpuHardwareThrottling", "critical", 4, reason="hw_thermal")],
    [alert("PerjouleGpusHot", "warning", None, "node3:10190"),
     alert("PerjouleGpuThermalThrottling", "warning", 4, "node3:10190", reason="sw_thermal"),
     alert("PerjouleGpuThermalMarginLow", "warning", 5, "node3:10190")],
    [alert("PerjouleGpuHardwareThrottling", "critical", 4, "node2:10190", reason="hw_thermal"),
     alert("PerjouleGpuThermalThrottling", "warning", 4, "node2:10190", reason="sw_thermal")],
    [alert("PerjouleGpuThermalThrottling", "warning", 5, "node2:10190", reason="sw_thermal"),
     alert("PerjouleGpuThermalMarginLow", "warning", 5, "node2:10190")],
    [alert("PerjouleGpuThermalMarginLow", "warning", 6, "node2:10190")],
    [alert("PerjouleStorageStuck", "warning"), alert("PerjouleStorageFailing", "warning", file="ledger"),
     alert("PerjouleStorageDropping", "warning")],
    [alert("PerjouleStorageFailing", "warning", None, "node2:10190", file="ledger"),
     alert("PerjouleStorageDropping", "warning", None, "node2:10190")],
]


def configured(directory, hook):
    """The example with the receivers of this test, and without its waiting times."""
    text = EXAMPLE.read_text().replace("http://127.0.0.1:8080", hook.url)
    text = re.sub(r"group_wait: \d+s", "group_wait: 1s", text)
    manager = Alertmanager(directory, "")
    (directory / "alertmanager.yml").write_text(text)
    return manager


def post(manager, alerts):
    body = json.dumps([{"labels": labels, "annotations": {}} for labels in alerts]).encode()
    request = urllib.request.Request(f"{manager.url}/api/v2/alerts", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        equal(answer.status, 200, "status")


def inhibition(_binary, directory):
    with Hook() as hook, configured(directory, hook) as manager:
        manager.start()
        post(manager, [labels for group in GROUPS for labels in group])

        def states():
            return {tuple(sorted(item["labels"].items())): item["status"]["state"] for item in manager.active()}

        total = sum(map(len, GROUPS))
        seen = wait_for(lambda: len(states()) == total and "unprocessed" not in states().values() and states(),
                        "every alert is processed", 20)
        for group in GROUPS:
            for number, labels in enumerate(group):
                equal(seen[tuple(sorted(labels.items()))], "suppressed" if number else "active", labels)


def grouping(_binary, directory):
    with Hook() as hook, configured(directory, hook) as manager:
        manager.start()
        post(manager, [alert("PerjouleGpuPowerBrake", "critical", board) for board in range(8)] +
             [alert("PerjouleSourceDenied", "info", device="rapl")])
        hook.wait("/page", 8)
        equal(len(hook.posts("/page")), 1, "messages about eight GPUs")
        check(not hook.posts("/ticket"), "nothing is a ticket")


if __name__ == "__main__":
    sys.exit(main([the_example_is_valid, inhibition, grouping]))
