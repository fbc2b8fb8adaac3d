#!/usr/bin/env python3
"""Nothing waits for a reader of stderr that has stopped, nor for a disk that holds the configuration and does not
answer: samples, scrapes and keep-alives go on, and what could not be done is reported.

blocked.py PERJOULED [TEST...]
"""
import fcntl
import json
import os
import pathlib
import re
import signal
import sys
import threading
import time

from harness import Daemon, check, equal, for_seconds, main, wait_for
from service import WATCHDOG, Manager

PIPE_BYTES = 4096
SCRAPES = 1000
RATIO_MAX, NOISE_SECONDS = 1.2, 0.003  # of the 99th percentiles; what two busy cores add
DROPPED = "perjoule_log_dropped_lines_total"
SUCCESSFUL = "perjoule_config_last_reload_successful"


class Reader:
    """The reading end of a pipe that is a daemon's stderr: writes what comes to the daemon's log, unless it is
    stopped, and the pipe full."""

    def __init__(self):
        self.out, self.end = os.pipe()
        fcntl.fcntl(self.end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.going = threading.Event()
        self.going.set()
        self.log_path = None
        self.thread = threading.Thread(target=self.copy, daemon=True)

    def start(self, daemon):
        os.close(self.end)
        self.log_path = daemon.log_path
        self.thread.start()

    def copy(self):
        with open(self.log_path, "ab", buffering=0) as log:
            while part := os.read(self.out, PIPE_BYTES):
                log.write(part)
                self.going.wait()

    def stop(self):
        """Stops, and fills the pipe: through an open file of its own, so that the daemon's stays blocking."""
        self.going.clear()
        filler = os.open(f"/proc/self/fd/{self.out}", os.O_WRONLY | os.O_NONBLOCK)
        for _ in for_seconds(0.3):  # copy() may take one more part
            try:
                while True:
                    os.write(filler, b"#" * 99 + b"\n")
            except BlockingIOError:
                pass
        os.close(filler)


class Disk:
    """The configuration, on a disk that stops answering when the test says so."""

    def __init__(self, binary, directory):
        self.config = directory / "slow/perjoule.json"
        self.config.parent.mkdir()
        self.stalled = directory / "stalled"
        self.write({})
        shim = pathlib.Path(binary).parent / "tests/libstall_disk.so"
        self.environment = {"LD_PRELOAD": str(shim), "STALL_DISK_OPEN": "/slow/", "STALL_DISK_WHILE": str(self.stalled)}
        self.flags = [f"--config.file={self.config}", "--web.enable-lifecycle"]

    def write(self, content):
        self.config.write_text(json.dumps(content))

    def stall(self):
        self.stalled.touch()

    def answer(self):
        self.stalled.unlink()


def started(binary, directory, disk, reader, environment=None):
    """A daemon whose stderr is the reader's pipe."""
    daemon = Daemon(binary, directory, *disk.flags, environment=disk.environment | (environment or {}), wait=False,
                    stderr=reader.end)
    reader.start(daemon)
    return daemon


def reload(daemon, successful):
    daemon.process.send_signal(signal.SIGHUP)
    daemon.scrape_until(lambda seen: seen.value(SUCCESSFUL) == successful, f"a reload: {successful}")


def changed_keys(line):
    return int(re.search(r"\((\d+) keys? changed\)", line)[1])


def refused(name):
    """A configuration whose errors are a line of some 50 KB in the log."""
    return {f"{name}_{number}": 1 for number in range(300)}


def missed(daemon):
    return sum(value for _, value in daemon.scrape()["perjoule_collector_missed_ticks_total"])


def percentile_99(times):
    return sorted(times)[len(times) * 99 // 100]


def scrape_time(daemon):
    begin = time.perf_counter()
    equal(daemon.get("/metrics")[0], 200, "GET /metrics")
    return time.perf_counter() - begin


def compare(calm, daemon, manager):
    """The 99th percentiles of scrapes in turn, without and with the trouble. What else runs on this host falls on
    either of them, so that a comparison that is out of bounds is made again, up to three times."""
    for _ in range(3):
        others, times = [], []
        while len(times) < SCRAPES:
            others.append(scrape_time(calm))
            times.append(scrape_time(daemon))
            manager.listen()
            time.sleep(0.005)
        other_p99, p99 = percentile_99(others), percentile_99(times)
        print(f"p99 of {SCRAPES} scrapes: {p99 * 1e3:.2f} ms, without {other_p99 * 1e3:.2f} ms")
        if p99 <= RATIO_MAX * other_p99 + NOISE_SECONDS:
            return
    check(False, f"p99 {p99:.4f} s, without {other_p99:.4f} s")


class SlowReloads:
    """Reloads one after the other; each time the disk answers after 2 s."""

    def __init__(self, daemon, disk):
        self.daemon, self.disk = daemon, disk
        self.count = 0
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.end.is_set():
            self.disk.stall()
            self.daemon.process.send_signal(signal.SIGHUP)
            self.end.wait(2)
            self.disk.answer()
            self.count += 1
            self.end.wait(0.2)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()


def as_fast_as_without(binary, directory):
    """A full pipe and a slow disk beside a daemon without them, scraped in turn."""
    manager, disk, reader = Manager(directory), Disk(binary, directory), Reader()
    (directory / "calm").mkdir()
    with Daemon(binary, directory / "calm", environment={"LD_PRELOAD": disk.environment["LD_PRELOAD"]}) as calm, \
            started(binary, directory, disk, reader, manager.environment(WATCHDOG)) as daemon:
        daemon.wait_ready()
        manager.wait("READY=1")
        reader.stop()
        disk.write(refused("unknown"))

        def drops():
            daemon.process.send_signal(signal.SIGHUP)
            return daemon.scrape().value(DROPPED) > 0
        wait_for(drops, "lines are dropped and counted", every=0.1)
        disk.write({})
        before, others_before = missed(daemon), missed(calm)
        begin, began_at = time.monotonic(), time.time()
        with SlowReloads(daemon, disk) as reloads:
            compare(calm, daemon, manager)
        took = time.monotonic() - begin
        newly, others_newly = missed(daemon) - before, missed(calm) - others_before
        check(newly <= others_newly, f"{newly} ticks missed, {others_newly} without")
        fed = [at for at in manager.fed(begin) if at < begin + took]
        gaps = [later - earlier for earlier, later in zip([begin, *fed], [*fed, begin + took])]
        check(max(gaps) < WATCHDOG, f"keep-alives of {WATCHDOG} s with gaps of {max(gaps):.2f} s")
        check(reloads.count >= 2, f"{reloads.count} reloads")
        seen = daemon.scrape_until(lambda seen: seen.value(SUCCESSFUL) == 1, "the last reload")
        reloaded_at = seen.value("perjoule_config_last_reload_success_timestamp_seconds")
        check(reloaded_at > began_at + 2, "reloads came to an end")

        reader.going.set()

        def all_said():
            lost = [re.search(r" lines=(\d+)$", line) for line in daemon.lines("log lines were lost")]
            return lost and sum(int(one[1]) for one in lost) == daemon.scrape().value(DROPPED)
        wait_for(all_said, "lines say what was lost, as counted")
        daemon.stop()
        reader.thread.join(10)
        check(all(line.startswith(("time=", "#")) for line in daemon.log().splitlines()), "every line is whole")
        check(daemon.wait_lines("msg=stopped"), "the last line")


def slow_reload(binary, directory):
    """The answer comes when the disk has answered; scrapes and samples go on meanwhile."""
    disk = Disk(binary, directory)
    with Daemon(binary, directory, *disk.flags, environment=disk.environment) as daemon:
        disk.write({"log": {"level": "debug"}})
        disk.stall()
        answers = []
        asking = threading.Thread(target=lambda: answers.append(daemon.get("/-/reload", method="POST")))
        asking.start()
        first = daemon.scrape()
        for _ in for_seconds(2):
            equal((daemon.get("/-/ready")[0], answers), (200, []), "while the disk does not answer")
        equal(daemon.get("/-/reload", method="POST")[0], 429, "a second one")
        later = daemon.scrape()
        name = "perjoule_collector_last_success_timestamp_seconds"
        check(later.value(name, source="cpu") > first.value(name, source="cpu"), "samples go on")
        equal(later.value("perjoule_collector_missed_ticks_total", source="cpu"),
              first.value("perjoule_collector_missed_ticks_total", source="cpu"), "missed ticks")
        equal(daemon.lines("configuration reloaded"), [], "not yet")
        disk.answer()
        asking.join()
        equal((answers[0][0], answers[0][2]), (200, b"configuration reloaded.\n"), "the answer")
        line = wait_for(lambda: daemon.lines("configuration reloaded"), "the new configuration")[0]
        equal(changed_keys(line), changed_keys(daemon.lines("msg=starting")[0]) + 1, line)
        daemon.stop()


def hung_reload(binary, directory):
    """It is reported, answered, applied when the disk answers after all, and does not keep the daemon from ending."""
    manager, disk = Manager(directory), Disk(binary, directory)
    environment = disk.environment | manager.environment()
    with Daemon(binary, directory, *disk.flags, environment=environment) as daemon:
        manager.wait("READY=1")
        disk.stall()
        begin = time.monotonic()
        status, _, body = daemon.get("/-/reload", method="POST", seconds=15)
        took = time.monotonic() - begin
        check(status == 503 and b"still being read" in body and 4 < took < 9, f"{status} {body} after {took:.1f} s")
        equal(daemon.scrape().value(SUCCESSFUL), 0, "the metric")
        wait_for(lambda: daemon.lines("level=error", "reading the configuration hangs"), "the line")
        wait_for(lambda: "the last reload hangs" in manager.said("STATUS=")[-1], "the status")
        equal(daemon.get("/-/reload", method="POST")[0], 503, "another one is answered at once")
        check(not daemon.lines("configuration reloaded"), "nothing is applied yet")
        disk.answer()
        daemon.scrape_until(lambda seen: seen.value(SUCCESSFUL) == 1, "it is applied")
        wait_for(lambda: len(daemon.lines("configuration reloaded")) == 2, "and so is what came meanwhile")
        wait_for(lambda: "reload" not in manager.said("STATUS=")[-1], "the status")
        disk.stall()
        daemon.process.send_signal(signal.SIGHUP)
        daemon.scrape()
        daemon.stop()
        check(daemon.wait_lines("its thread is left behind"), "the log names the thread")
        disk.answer()


def last_lines_of_a_crash(binary, directory):
    """A fatal signal does not lose the lines that a reader would still take."""
    disk, reader = Disk(binary, directory), Reader()
    with started(binary, directory, disk, reader) as daemon:
        daemon.wait_ready()
        reader.stop()
        for name in ("first", "second"):
            disk.write(refused(name))
            reload(daemon, 0)
            disk.write({})
            reload(daemon, 1)
        daemon.process.send_signal(signal.SIGABRT)
        reader.going.set()
        equal(daemon.process.wait(10), -signal.SIGABRT, "exit code")
        reader.thread.join(10)
        lines = [line for line in daemon.log().splitlines() if "msg=\"configuration " in line]
        words = [re.search(r"(first_0|second_0|configuration reloaded)", line)[1] for line in lines]
        equal(words, ["first_0", "configuration reloaded", "second_0", "configuration reloaded"], "lines, in order")


if __name__ == "__main__":
    sys.exit(main([as_fast_as_without, slow_reload, hung_reload, last_lines_of_a_crash]))
