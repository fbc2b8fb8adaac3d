#!/usr/bin/env python3
"""`perjouled doctor`: what is read, for the service's user, and the command that fixes the rest."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

from harness import (REPOSITORY, Daemon, Skip, Tree, as_nobody, check, clean_environment, equal, main, run, said,
                     wait_for, with_etc, without_installed_file)
from stand_in import PCI, StandIn, on_bus, uuid

SERVICE_UID = 64998
STATES = "read|slow|partly|absent|denied|error|stuck|off"


def rows(printed):
    """(state, source, device, why) of each line of the table, in their order."""
    found = []
    for line in printed.splitlines()[4:]:
        if re.match(rf"({STATES}) ", line):
            found.append((line[:8].strip(), line[9:22].strip(), line[23:53].strip(), line[54:].strip()))
    return found


HOSTILE = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def states(printed):
    return {(source, device): state for state, source, device, _ in rows(printed)}


def remedies(printed):
    return [line.strip().removeprefix("remedy: ") for line in printed.splitlines() if "remedy: " in line]


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def doctor(binary, *words, prefix=(), environment=None, seconds=20, **options):
    given = [str(word) for word in words]
    if not any(word.startswith("--web.listen-address") for word in given):
        given.append(f"--web.listen-address=127.0.0.1:{closed_port()}")
    return run([*prefix, binary, "doctor", *given], seconds, environment, **options)


def this_host(binary, directory):
    ended = doctor(binary, f"--path.rootfs={directory}")
    equal((ended.returncode, said(ended)), (0, ""), f"doctor on this host\n{ended.stdout}")
    verdict, judged, blank, header = ended.stdout.splitlines()[:4]
    check(re.match(r"OK: everything that this host has is read: \d+ devices?, \d+ of them GPUs?$", verdict), verdict)
    check(re.match(r"Judged for user \S+; no daemon answers at http://127\.0\.0\.1:\d+/metrics \(.+\)\.$", judged),
          judged)
    equal((blank, header.split()), ("", ["STATE", "SOURCE", "DEVICE", "WHY"]), "header")
    found = states(ended.stdout)
    equal(found["cpu", ""], "read", "cpu")
    check({source for source, _ in found} >= {"rapl", "hwmon", "thermal_zone", "power_model", "textfile"}, found)
    told = json.loads(doctor(binary, "--format=json", f"--path.rootfs={directory}", "--no-collector.cpu").stdout)
    equal((told["ok"], told["verdict"][:3], told["daemon"]["answers"]), (True, "OK:", False), told)
    equal([device["state"] for device in told["devices"] if device["source"] == "cpu"], ["off"], "cpu")


def denied(binary, directory):
    tree = Tree(directory)
    energy = tree.package(0, 1000000)
    energy.chmod(0o400)
    copy = shutil.copy(binary, directory / "perjouled")  # other users cannot run a build inside a private home
    words = as_nobody()
    flags = [*tree.flags, f"--path.rootfs={directory}"]
    if not words:
        energy.chmod(0)
    ended = doctor(copy, *flags, prefix=words)
    equal(ended.returncode, 1, f"exit code\n{ended.stdout}{ended.stderr}")
    equal(ended.stdout.splitlines()[0], "1 problem: rapl denied", "verdict")
    equal(rows(ended.stdout)[0][:2], ("denied", "rapl"), "the problem comes first")
    check("CAP_DAC_READ_SEARCH" in remedies(ended.stdout)[0] and "setcap" in remedies(ended.stdout)[0], ended.stdout)

    with Daemon(copy, directory, *tree.flags, "--no-storage", words=words) as daemon:
        seen = daemon.scrape_until(lambda scrape: scrape["perjoule_node_power_watts"], "power of the node")
        equal([labels["source"] for labels, _ in seen["perjoule_node_power_watts"]], ["modelled"], "its source")
        equal(seen.state("rapl"), "denied", "state of rapl")
        equal(len(daemon.wait_lines('msg="rapl denied"', "remedy=", "setcap")), 1, "said once, with the remedy")
        if words:  # root can read what the daemon cannot: the daemon's state counts
            ended = doctor(copy, *flags, f"--web.listen-address=127.0.0.1:{daemon.port}")
            equal(ended.returncode, 1, ended.stdout)
            check(f"the daemon at http://127.0.0.1:{daemon.port}/metrics was asked" in ended.stdout, ended.stdout)
            state, source, _, why = rows(ended.stdout)[0]
            equal((state, source), ("denied", "rapl"), ended.stdout)
            check("the running daemon" in why, why)
            check(remedies(ended.stdout), ended.stdout)
        daemon.stop()


def a_daemon_that_reads_more(binary, directory):
    """The other way round: the daemon reads what the caller may not."""
    if not as_nobody():
        raise Skip("needs root")
    tree = Tree(directory)
    tree.package(0, 1000000).chmod(0o400)
    copy = shutil.copy(binary, directory / "perjouled")
    with Daemon(copy, directory, *tree.flags, "--no-storage") as daemon:
        daemon.scrape_until(lambda scrape: scrape.state("rapl", "package-0") == "ok", "rapl is read")
        ended = doctor(copy, *tree.flags, f"--path.rootfs={directory}", f"--web.listen-address=127.0.0.1:{daemon.port}",
                       prefix=as_nobody())
        equal((ended.returncode, ended.stdout[:3]), (0, "OK:"), ended.stdout)
        equal(states(ended.stdout).get(("rapl", "package-0")), "read", ended.stdout)
        check(("rapl", "") not in states(ended.stdout), ended.stdout)
        daemon.stop()


def denied_to_a_service(binary, directory):
    tree = Tree(directory)
    tree.package(0, 1000000).chmod(0 if not as_nobody() else 0o400)
    cgroup = directory / "proc/self/cgroup"
    cgroup.parent.mkdir(parents=True)
    cgroup.write_text("0::/system.slice/perjouled.service\n")
    copy = shutil.copy(binary, directory / "perjouled")
    ended = doctor(copy, *tree.flags, f"--path.procfs={directory}/proc", f"--path.rootfs={directory}",
                   prefix=as_nobody())
    remedy = next((line for line in remedies(ended.stdout) if line.startswith("perjouled.service lacks")), "")
    check("sudo rm -f /etc/systemd/system/perjouled.service.d/00-no-rapl.conf" in remedy, ended.stdout)
    check("AmbientCapabilities=CAP_DAC_READ_SEARCH" in remedy and "setcap" not in remedy, remedy)


def for_the_service(binary, directory):
    """Root asks what the service's user can read, with the capabilities that the unit and its drop-ins leave it."""
    if not as_nobody():
        raise Skip("needs root")
    words = with_etc(directory)
    etc = directory / "etc"
    with open(etc / "passwd", "a", encoding="utf-8") as passwd:
        passwd.write(f"perjoule:x:{SERVICE_UID}:{SERVICE_UID}::/:/usr/sbin/nologin\n")
    units = etc / "systemd/system"
    units.mkdir(parents=True)
    tree = Tree(directory)
    tree.package(0, 1000000).chmod(0o400)

    def asked(*flags):
        return doctor(binary, *tree.flags, *flags, prefix=words)

    check("Judged for user root;" in asked().stdout, "no unit, no other user")
    shutil.copy(REPOSITORY / "deploy/systemd/perjouled.service", units)
    ended = asked()
    check("Judged for user perjoule with CAP_DAC_READ_SEARCH (perjouled.service);" in ended.stdout, ended.stdout)
    if states(ended.stdout)["rapl", "package-0"] != "read":
        raise Skip("root lacks CAP_DAC_READ_SEARCH here")
    equal(ended.returncode, 0, ended.stdout)

    drop_ins = units / "perjouled.service.d"
    drop_ins.mkdir()
    shutil.copy(REPOSITORY / "deploy/systemd/perjouled.service.d/00-no-rapl.conf", drop_ins)
    ended = asked()
    check("Judged for user perjoule with no capability (perjouled.service);" in ended.stdout, ended.stdout)
    equal((ended.returncode, ended.stdout.splitlines()[0]), (1, "1 problem: rapl denied"), ended.stdout)
    equal([line for line in remedies(ended.stdout) if "setcap" in line], [], ended.stdout)
    check(remedies(ended.stdout)[0].startswith(
        "perjouled.service lacks CAP_DAC_READ_SEARCH: sudo rm -f /etc/systemd/system/perjouled.service.d/"
        "00-no-rapl.conf && sudo systemctl daemon-reload && sudo systemctl restart perjouled.service"), ended.stdout)
    (drop_ins / "10-own.conf").write_text("[Service]\nAmbientCapabilities=CAP_DAC_READ_SEARCH\n")
    equal(asked().returncode, 0, "a later drop-in gives it back")
    told = json.loads(asked("--format=json").stdout)
    check(told["judged_for"].startswith("user perjoule"), told)

    other = doctor(binary, *tree.flags, prefix=[*words, *as_nobody()])
    check("`sudo perjouled doctor` judges for user perjoule" in other.stdout, other.stdout)


def one_of_two_denied(binary, directory):
    tree = Tree(directory)
    tree.package(0, 1000000).chmod(0o444)
    closed = tree.package(1, 1000000)
    closed.chmod(0 if not as_nobody() else 0o400)
    copy = shutil.copy(binary, directory / "perjouled")
    ended = doctor(copy, *tree.flags, f"--path.rootfs={directory}", prefix=as_nobody())
    found = states(ended.stdout)
    equal((found["rapl", "package-0"], found["rapl", "package-1"]), ("read", "denied"), ended.stdout)
    equal((ended.returncode, ended.stdout.splitlines()[0]), (1, "1 problem: rapl package-1 denied"), ended.stdout)
    equal(rows(ended.stdout)[0][2], "package-1", "the problem comes first")


def hung(binary, directory):
    tree = Tree(directory)
    tree.zone(0, "acpitz", 27800)
    tree.fifo("class/thermal/thermal_zone0/temp")
    ended = doctor(binary, *tree.flags)
    found = states(ended.stdout)
    equal((found["thermal_zone", "thermal_zone0"], found["cpu", ""]), ("stuck", "read"), ended.stdout)
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


def opened(fifo):
    """The end to write to, once a reader waits at the other one."""
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def slow(binary, directory):
    """A call that the daemon would give up is read to its end here, and the remedy names its duration."""
    tree = Tree(directory)
    tree.chip(0, "nct6775", {"temp1_input": 27800})
    path = tree.fifo("class/hwmon/hwmon0/temp1_input")
    words = without_installed_file([binary, "doctor", *tree.flags, "--collector.hwmon.deadline=1s",
                                    f"--web.listen-address=127.0.0.1:{closed_port()}", "--format=json"])
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          env=clean_environment()) as process:
        writer = wait_for(lambda: opened(path), "its first call")
        time.sleep(1.6)
        os.write(writer, b"27800\n")
        told = json.loads(process.communicate(timeout=10)[0])
        os.close(writer)  # only now: until then a second call waits
    chip = next(device for device in told["devices"] if device["source"] == "hwmon")
    equal((chip["state"], chip["problem"], process.returncode), ("slow", True, 1), chip)
    check(1.5 < chip["seconds"] < 3 and "its deadline is 1 s" in chip["what"], chip)
    check("--collector.hwmon.deadline=" in chip["remedy"], chip)


def boards(binary, directory):
    """A line per board, the sick one first, with its address and a remedy; without a library every board."""
    tree = Tree(directory)
    on_bus(tree, range(4))
    gpus = StandIn(binary, directory, "h100_load")
    flags = [*tree.flags, *gpus.flags, "--no-storage"]
    for fault, state in (("lost-2", "error"), ("hang-2", "stuck")):
        gpus.begin(fault)
        ended = doctor(binary, *flags, environment=gpus.environment)
        gpus.end(fault)
        equal(ended.returncode, 1, f"{fault}\n{ended.stdout}")
        found = [row for row in rows(ended.stdout) if row[1] == "nvml"]
        equal([device for _, _, device, _ in found], [f"GPU {n} (0000:{PCI[n]}:00.0)" for n in (2, 0, 1, 3)],
              ended.stdout)
        equal([row[0] for row in found], [state, "read", "read", "read"], ended.stdout)
        equal(rows(ended.stdout)[0], found[0], "its line is the first")
        check(ended.stdout.startswith(f"1 problem: GPU 2 (0000:{PCI[2]}:00.0) {state}\n"), ended.stdout)
        check(found[0][3], "the error is named")
    told = json.loads(doctor(binary, *flags, "--format=json", environment=gpus.environment).stdout)
    equal([(device["gpu"], device["uuid"], device["pci_bus_id"], device["state"]) for device in told["devices"]
           if device["source"] == "nvml"],
          [(str(n), uuid(n), f"0000:{PCI[n]}:00.0", "read") for n in range(4)], told)

    ended = doctor(binary, *tree.flags, "--no-storage", "--path.nvml=libno-such-library.so.1")
    equal(ended.returncode, 1, ended.stdout)
    found = rows(ended.stdout)[:4]
    equal([row[:3] for row in found], [("absent", "nvml", f"GPU {n} (0000:{PCI[n]}:00.0)") for n in range(4)],
          ended.stdout)
    equal(len([line for line in remedies(ended.stdout) if "libnvidia-ml1" in line]), 4, ended.stdout)
    check(ended.stdout.startswith("4 problems: "), ended.stdout)


def remedies_are_true(*_):
    """Whatever a remedy in the source names exists: units, drop-ins, users."""
    units, drop_ins = {"perjouled", "nvidia-persistenced", "perjouled.service"}, set()
    folder = REPOSITORY / "deploy/systemd/perjouled.service.d"
    names = {path.name for path in folder.iterdir()}
    for room in ("collectors", "storage", "daemon"):
        for file in (REPOSITORY / room).rglob("*.?pp"):
            text = re.sub(r'"\s*\n\s*"', "", file.read_text())
            for unit in re.findall(r"systemctl (?:stop|start|restart|reload) ([a-z][\w.-]*)", text):
                check(unit in units, f"{file}: no unit {unit}")
            drop_ins |= set(re.findall(r"\d\d-[\w-]+\.conf", text))
            for user in re.findall(r"(?:install [^\";]*-o|sudo -u|chown -R|usermod -aG GROUP) ([a-z]+)\b", text):
                raise AssertionError(f"{file}: the user {user} need not exist")
    check(drop_ins and drop_ins <= names, f"{drop_ins} of {names}")


if __name__ == "__main__":
    sys.exit(main([this_host, denied, a_daemon_that_reads_more, denied_to_a_service, for_the_service, one_of_two_denied,
                   hung, slow, boards, remedies_are_true, hostile_names]))
