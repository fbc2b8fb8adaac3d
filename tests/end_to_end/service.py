#!/usr/bin/env python3
"""Messages of perjouled to a service manager, received on a NOTIFY_SOCKET of the test; its log lines for journald."""
import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import time

from harness import Daemon, Skip, Tree, check, clean_environment, equal, for_seconds, main, wait_for

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WATCHDOG = 1.0  # seconds; systemd's unit has 30
LOG_LINE = re.compile(r"<[3467]>time=\S+ level=(debug|info|warn|error) ")


class Manager:
    """The manager's end of the socket: `messages` has (time, text) of each message received."""

    def __init__(self, directory):
        self.path = str(directory / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(self.path)
        self.messages = []

    def environment(self, watchdog=None):
        variables = {"NOTIFY_SOCKET": self.path}
        return variables | ({"WATCHDOG_USEC": str(int(watchdog * 1e6))} if watchdog else {})

    def listen(self):
        try:
            while True:
                self.messages.append((time.monotonic(), self.socket.recv(65536).decode()))
        except BlockingIOError:
            return self.messages

    def said(self, beginning):
        return [text for _, text in self.listen() if text.startswith(beginning)]

    def wait(self, beginning, count=1, seconds=15):
        wait_for(lambda: len(self.said(beginning)) >= count, f"{count} x {beginning}", seconds)

    def fed(self, since):
        """Times of the keep-alives after `since`."""
        return [at for at, text in self.listen() if text == "WATCHDOG=1" and at > since]


class StalledLoop:
    """Stops the daemon's main thread, which is its loop, and no other: ptrace(2) stops single threads."""

    def __init__(self, pid):
        self.pid = pid
        self.libc = ctypes.CDLL(None, use_errno=True)

    def ptrace(self, request):
        if self.libc.ptrace(request, self.pid, None, None) != 0:
            raise Skip(f"ptrace: {os.strerror(ctypes.get_errno())}")

    def __enter__(self):
        self.ptrace(PTRACE_SEIZE)
        self.ptrace(PTRACE_INTERRUPT)
        _, status = os.waitpid(self.pid, 0)
        check(os.WIFSTOPPED(status), f"the loop's thread did not stop: {status}")
        return self

    def __exit__(self, *_):
        self.ptrace(PTRACE_DETACH)


def life(binary, directory):
    """READY, STATUS, RELOADING, STOPPING, in their order."""
    manager = Manager(directory)
    config = directory / "perjoule.json"
    config.write_text('{"collectors": {"textfile": {"enabled": false}}}')
    with Daemon(binary, directory, f"--config.file={config}", environment=manager.environment(), wait=False) as daemon:
        daemon.wait_listening()
        manager.wait("READY=1")
        equal(daemon.get("/-/ready")[0], 200, "ready over HTTP, too")
        check(daemon.scrape()["perjoule_source_state"], "an active service has numbers")
        equal(manager.messages[0][1], f"STATUS=opening {directory}/store\nEXTEND_TIMEOUT_USEC=300000000", "the first")
        manager.wait("STATUS=", 2)
        status = manager.said("STATUS=")[-1]
        check(re.search(rf"cpu\b.* ok; .*scrape 127\.0\.0\.1:{daemon.port}\b", status), status)
        wait_for(lambda: re.search(r"; \d+ W; .*; history [\d.]+ MiB$", manager.said("STATUS=")[-1]),
                 "power and history in the status", 20)

        daemon.process.send_signal(signal.SIGHUP)
        manager.wait("READY=1", 2)
        reload = manager.said("RELOADING=1")
        equal(len(reload), 1, f"messages about the reload: {reload}")
        monotonic_us = int(re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", reload[0])[1])
        check(0 <= time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6 - monotonic_us < 20e6, f"its time: {monotonic_us}")

        config.write_text('{"colectors": {}}')
        daemon.process.send_signal(signal.SIGHUP)
        manager.wait("READY=1", 3)
        wait_for(lambda: "the last reload was refused" in manager.said("STATUS=")[-1], "the refusal in the status")
        times = [at for at, text in manager.messages if text.startswith("STATUS=")]
        check(len(times) < 12, f"{len(times)} status lines")

        daemon.stop()
        equal(manager.listen()[-1][1], "STOPPING=1\nSTATUS=storing the last samples", "the last message")
        equal(manager.said("WATCHDOG"), [], "keep-alives without a watchdog")


def another_process(binary, directory):
    """The daemon does not feed a watchdog that is meant for another process."""
    manager = Manager(directory)
    environment = manager.environment(WATCHDOG) | {"WATCHDOG_PID": "1"}
    with Daemon(binary, directory, "--no-storage", environment=environment) as daemon:
        manager.wait("READY=1")
        equal(manager.said("WATCHDOG"), [], "keep-alives")
        daemon.stop()


def hung_lane(binary, directory):
    """A sensor that hangs delays READY until its deadline, and does not keep the watchdog from being fed."""
    manager = Manager(directory)
    tree = Tree(directory)
    tree.zone(0, "acpitz", 27800)
    tree.fifo("class/thermal/thermal_zone0/temp")
    with Daemon(binary, directory, *tree.flags, "--no-storage", environment=manager.environment(WATCHDOG),
                wait=False) as daemon:
        daemon.wait_listening()
        manager.wait("READY=1")
        begin = time.monotonic()
        seen = daemon.scrape_until(lambda scrape: scrape.state("thermal_zone", "thermal_zone0") == "stuck", "stuck")
        check(seen, "the lane hangs")
        for _ in for_seconds(4, every=0.1):
            manager.listen()
        fed = manager.fed(begin)
        gaps = [later - earlier for earlier, later in zip(fed, fed[1:])]
        check(len(fed) >= 6 and max(gaps) < WATCHDOG, f"fed at {gaps}")
        check(any("thermal_zone stuck" in text for text in manager.said("STATUS=")), manager.said("STATUS="))


def stalled_loop(binary, directory):
    """Only the loop feeds the watchdog: no keep-alive comes while the loop is stopped and all other threads run."""
    manager = Manager(directory)
    with Daemon(binary, directory, environment=manager.environment(WATCHDOG)) as daemon:
        manager.wait("READY=1")
        manager.wait("WATCHDOG=1", 3)
        with StalledLoop(daemon.pid):
            begin = time.monotonic()
            for _ in for_seconds(3, every=0.1):
                manager.listen()
            equal(daemon.get("/-/healthy")[0], 200, "the other threads run")
            fed = manager.fed(begin + 0.1)
            equal(fed, [], "keep-alives while the loop is stopped")
        released = time.monotonic()
        wait_for(lambda: manager.fed(released), "fed again", 5)
        daemon.stop()


def journal(binary, directory):
    """Priorities if stderr is the journal, none if it was redirected."""
    log = directory / "journal"
    log.touch()
    named = "{0.st_dev}:{0.st_ino}".format(log.stat())

    def start(stream, *flags):
        command = [binary, "--no-storage", "--web.listen-address=127.0.0.1:0", *flags]
        with open(log, "wb") as stderr:
            return subprocess.Popen(command, stderr=stderr, env=clean_environment({"JOURNAL_STREAM": stream}))

    def lines(stream, *flags):
        with start(stream, *flags) as process:
            wait_for(lambda: "ready" in log.read_text(), "the daemon is ready", 15)
            process.terminate()
        return log.read_text().splitlines()

    said = lines(named)
    wrong = [line for line in said if not LOG_LINE.match(line)]
    check(said and not wrong, f"lines without a priority: {wrong}")
    equal({line[:3] for line in said if "level=info" in line}, {"<6>"}, "priority of info")
    check(all(line.startswith("<6>{") for line in lines(named, "--log.format=json") if '"info"' in line), "as JSON")
    check(all(line.startswith("time=") for line in lines("1:2")), "a file is not the journal")

    bad = directory / "bad.json"
    bad.write_text('{"colectors": {}}')
    equal(start(named, f"--config.file={bad}").wait(10), 78, "exit code")
    refusals = log.read_text().splitlines()
    check(len(refusals) > 2 and all(line.startswith("<3>") for line in refusals), f"errors: {refusals}")


def nothing_per_poll(binary, directory):
    """Once the sources have settled, polls and scrapes add no line to the log."""
    tree = Tree(directory)
    tree.zone(0, "acpitz", 27800)
    broken = tree.zone(1, "x86_pkg_temp", 41000)
    broken.write_text("nonsense\n")
    flags = ["--collector.thermal_zone.period=100ms", "--log.level=debug"]
    with Daemon(binary, directory, *tree.flags, *flags) as daemon:
        wait_for(lambda: daemon.lines("msg=ready"), "the first numbers", 15)
        before = daemon.log()
        for _ in for_seconds(5, every=0.1):
            daemon.scrape()
        equal(daemon.log(), before, "the log after fifty polls")
        daemon.stop()


def flapping(binary, directory):
    """A sensor that fails at every other call does not log at every poll."""
    tree = Tree(directory)
    temperature = tree.zone(0, "acpitz", 27800)
    with Daemon(binary, directory, *tree.flags, "--no-storage", "--collector.thermal_zone.period=100ms") as daemon:
        seen = set()
        for passed in for_seconds(8, every=0.2):
            temperature.write_text("27800\n" if int(passed * 5) % 2 else "nonsense\n")
            seen.add(daemon.scrape().state("thermal_zone", "thermal_zone0"))
        check({"ok", "error"} <= seen, f"it flaps: {seen}")
        lines = daemon.wait_lines('msg="thermal_zone thermal_zone0')
        equal((len(lines), len([line for line in lines if "changes too often" in line])), (10, 1), lines)
        daemon.stop()


if __name__ == "__main__":
    sys.exit(main([life, another_process, hung_lane, stalled_loop, journal, nothing_per_poll, flapping]))
