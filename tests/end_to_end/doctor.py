#!/usr/bin/env python3
"""`perjouled doctor`: sources that are found, denied or absent, and the command that fixes them."""
import re
import shutil
import sys

from harness import Daemon, Tree, as_nobody, check, equal, main, run, said


HOSTILE = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def states(printed):
    """(source, device) -> state, from the table."""
    rows = {}
    for line in printed.splitlines()[1:]:
        if match := re.match(r"(\S+) +(?:(\S+) +)?(ok|absent|denied|error|stuck|off)\b", line):
            rows[match[1], match[2] or ""] = match[3]
    return rows


def this_host(binary, _):
    ended = run([binary, "doctor"], seconds=15)
    equal((ended.returncode, said(ended)), (0, ""), f"doctor on this host\n{ended.stdout}")
    found = states(ended.stdout)
    equal(found["cpu", ""], "ok", "cpu")
    check({source for source, _ in found} >= {"rapl", "hwmon", "thermal_zone", "power_model", "textfile"}, found)


def denied(binary, directory):
    tree = Tree(directory)
    energy = tree.package(0, 1000000)
    energy.chmod(0o400)
    copy = shutil.copy(binary, directory / "perjouled")  # other users cannot run a build inside a private home
    words = as_nobody()
    ended = run([*words, copy, "doctor", *tree.flags], seconds=15)
    if not words:
        energy.chmod(0)
        ended = run([copy, "doctor", *tree.flags], seconds=15)
    equal(ended.returncode, 77, f"exit code\n{ended.stdout}{ended.stderr}")
    equal(states(ended.stdout)["rapl", ""], "denied", "rapl")
    check("remedy: " in ended.stdout and "CAP_DAC_READ_SEARCH" in ended.stdout, ended.stdout)
    check("setcap" in ended.stdout, ended.stdout)

    with Daemon(copy, directory, *tree.flags, "--no-storage", words=words) as daemon:
        seen = daemon.scrape_until(lambda scrape: scrape["perjoule_node_power_watts"], "power of the node")
        equal([labels["source"] for labels, _ in seen["perjoule_node_power_watts"]], ["modelled"], "its source")
        equal(seen.state("rapl"), "denied", "state of rapl")
        equal(len(daemon.lines('msg="rapl denied"', "remedy=", "setcap")), 1, "said once, with the remedy")
        daemon.stop()


def denied_to_a_service(binary, directory):
    tree = Tree(directory)
    tree.package(0, 1000000).chmod(0 if not as_nobody() else 0o400)
    cgroup = directory / "proc/self/cgroup"
    cgroup.parent.mkdir(parents=True)
    cgroup.write_text("0::/system.slice/perjouled.service\n")
    copy = shutil.copy(binary, directory / "perjouled")
    ended = run([*as_nobody(), copy, "doctor", *tree.flags, f"--path.procfs={directory}/proc"], seconds=15)
    remedy = next((line for line in ended.stdout.splitlines() if "remedy: perjouled.service lacks" in line), "")
    check("sudo rm -f /etc/systemd/system/perjouled.service.d/00-no-rapl.conf" in remedy, ended.stdout)
    check("AmbientCapabilities=CAP_DAC_READ_SEARCH" in remedy and "setcap" not in remedy, remedy)


def one_of_two_denied(binary, directory):
    tree = Tree(directory)
    tree.package(0, 1000000).chmod(0o444)
    closed = tree.package(1, 1000000)
    closed.chmod(0 if not as_nobody() else 0o400)
    copy = shutil.copy(binary, directory / "perjouled")
    ended = run([*as_nobody(), copy, "doctor", *tree.flags], seconds=15)
    found = states(ended.stdout)
    equal((found["rapl", "package-0"], found["rapl", "package-1"]), ("ok", "denied"), ended.stdout)
    equal(ended.returncode, 77, "exit code")


def hung(binary, directory):
    tree = Tree(directory)
    tree.zone(0, "acpitz", 27800)
    tree.fifo("class/thermal/thermal_zone0/temp")
    ended = run([binary, "doctor", *tree.flags], seconds=8)
    found = states(ended.stdout)
    equal((found["thermal_zone", "thermal_zone0"], found["cpu", ""]), ("stuck", "ok"), ended.stdout)
    equal(ended.returncode, 1, "exit code")
    ended = run([binary, "once", "--format=prometheus", *tree.flags], seconds=8)
    check("perjoule_cpu_utilization_ratio{" in ended.stdout, "once prints what the others delivered")
    equal(ended.returncode, 0, "exit code of once")


def hostile_names(binary, directory):
    """A chip's name and a directory's that drive a terminal, forge a line or hide text, wherever they are shown."""
    tree = Tree(directory)
    hostile = "evil\x1b[2J\u202e\u009b31m\x7f\nlevel=error"
    tree.chip(0, hostile, {"temp1_input": 45000, "temp1_label": hostile})
    tree.chip(1, hostile, {"temp1_input": "nonsense"})
    away = directory / "storage\x1b]0;x\x07\nlevel=error \u2066"
    flags = [*tree.flags, f"--collector.textfile.directory={directory}/none\x1b[2J\n\u202e"]
    shown = [run([binary, command, *flags], seconds=15) for command in ("doctor", "once")]
    shown_by = {ended.args[1]: ended.stdout + ended.stderr for ended in shown}
    with Daemon(binary, directory, *flags, f"--storage.path={away}") as daemon:
        shown_by["page"] = daemon.get("/")[2].decode()
        shown_by["API"] = daemon.get("/api/v1/alerts")[2].decode()
        daemon.stop()
        shown_by["log"] = daemon.log_path.read_bytes().decode()
    shown_by["config"] = run([binary, "check-config", f"{directory}/x\x1b[2J\u202e.json"]).stderr
    for name, text in shown_by.items():
        found = [f"U+{ord(c):04X}" for c in text if c != "\n" and HOSTILE.match(c)]
        equal(found, [], f"{name}:\n{text!r}")
        check(not re.search(r"^level=error", text, re.MULTILINE), f"{name} has a forged line")
    for name in ("doctor", "page", "log", "config"):
        check("\\u001b" in shown_by[name], f"{name} does not show it: {shown_by[name]}")


if __name__ == "__main__":
    sys.exit(main([this_host, denied, denied_to_a_service, one_of_two_denied, hung, hostile_names]))
