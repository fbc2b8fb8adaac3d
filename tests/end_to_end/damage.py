#!/usr/bin/env python3
"""The store when its files are damaged, foreign or of a newer version, and when its disk is full."""
import os
import sqlite3
import sys
import time

from harness import Daemon, Skip, check, equal, for_seconds, main, run, wait_for
from meter import FAST, PERSISTED, Meter, grown, not_fallen, package_joules


def damaged(path, kind):
    if kind == "truncated":  # an incomplete copy: the write-ahead log is missing, too
        os.truncate(path, path.stat().st_size // 2)
        for log in path.parent.glob(f"{path.name}-*"):
            log.unlink()
    elif kind == "foreign":
        path.write_text("some other file of this name\n" * 20)
    else:
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
    return path.read_bytes()


def kept_aside(binary, directory, name):
    store = directory / "store"
    meter = Meter(directory)
    flags = (*FAST, *meter.tree.flags)
    with Daemon(binary, directory, *flags) as daemon:
        seen = grown(daemon, meter, 0)
        daemon.stop()
    kinds = {"truncated": "damaged", "foreign": "not an SQLite", "newer": "newer version"}
    for kind, word in kinds.items():
        was = damaged(store / name, kind)
        before = set(store.iterdir())
        with Daemon(binary, directory, *flags) as daemon:
            kept = wait_for(lambda: [each for each in set(store.glob(f"{name}.kept-*")) - before
                                     if not each.name.endswith(("-wal", "-shm"))], f"the {kind} {name} is set aside")
            equal(len(kept), 1, f"files kept aside of a {kind} {name}")
            equal(kept[0].read_bytes(), was, f"the {kind} {name} as it was")
            said = wait_for(lambda name=str(kept[0]): daemon.lines("level=warn", name), "a line that says so")
            equal(len(said), 1, f"lines that say so {said}")
            check(word in said[0], said[0])
            daemon.scrape_until(lambda scrape: (scrape.find("perjoule_storage_size_bytes") or 0) > 0, "it stores")
            daemon.scrape_until(lambda scrape: scrape[PERSISTED[0]], "the total")
            if name == "history.db":  # no energy is lost with it
                not_fallen(seen, daemon.scrape())
            seen = grown(daemon, meter, package_joules(daemon.scrape()))
            daemon.stop()


def history_is_kept_aside(binary, directory):
    kept_aside(binary, directory, "history.db")


def ledger_is_kept_aside(binary, directory):
    kept_aside(binary, directory, "ledger.db")


def cut_beside_its_log(binary, directory):
    meter = Meter(directory)
    flags = (*FAST, *meter.tree.flags)
    with Daemon(binary, directory, *flags) as daemon:
        before = grown(daemon, meter, 50)
        daemon.stop()
    ledger = directory / "store/ledger.db"
    os.truncate(ledger, ledger.stat().st_size // 2)
    with Daemon(binary, directory, *flags) as daemon:
        seen = daemon.scrape_until(lambda scrape: scrape[PERSISTED[0]], "the total")
        not_fallen(before, seen)
        daemon.stop()


def full_disk(binary, directory):
    if os.geteuid() != 0:
        raise Skip("needs root to mount a small tmpfs")
    disk = directory / "disk"
    disk.mkdir()
    mounted = run(["mount", "-t", "tmpfs", "-o", "size=4m", "perjoule", disk])
    if mounted.returncode != 0:
        raise Skip(f"mount: {mounted.stderr.strip()}")
    try:
        fill_and_free(binary, directory, disk)
    finally:
        run(["umount", "-l", disk])


def fill_and_free(binary, directory, disk):
    meter = Meter(directory)
    # Many readings, so that the queue of 10,000 ticks is full after a few seconds.
    for zone in range(60):
        meter.tree.zone(zone, f"zone{zone}", 30000 + zone)
    flags = (*FAST, *meter.tree.flags, f"--storage.path={disk}", "--collector.thermal_zone.period=100ms")
    with Daemon(binary, directory, *flags) as daemon:
        seen = grown(daemon, meter, 20)
        daemon.scrape_until(lambda scrape: scrape.value("perjoule_storage_appended_samples_total") > 0, "it stores")
        ballast = disk / "ballast"
        with open(ballast, "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass  # the disk is full
        failing = daemon.scrape_until(
            lambda scrape: scrape.value("perjoule_storage_failed_commits_total", file="history") > 0, "failures", 20)
        dropped = None
        for _ in for_seconds(45, every=0.2):
            meter.advance(10)
            begin = time.monotonic()
            now = daemon.scrape()
            check(time.monotonic() - begin < 1, "a scrape waits for the disk")
            not_fallen(seen, now)
            seen = now
            dropped = now.value("perjoule_storage_dropped_samples_total")
            if dropped > 0:
                break
        check(dropped and dropped > 0, "no drop was counted")
        equal(len(seen["perjoule_temperature_celsius"]), 60, "series while the disk is full")
        check(seen.value("perjoule_collector_last_success_timestamp_seconds", source="rapl", device="package-0")
              > failing.value("perjoule_collector_last_success_timestamp_seconds", source="rapl", device="package-0"),
              "sampling goes on")
        equal(daemon.get("/-/ready")[0], 200, "a full disk is not unreadiness")
        check(daemon.wait_lines("level=error", "storing fails"), "the log says that storing fails")

        ballast.unlink()
        appended = seen.value("perjoule_storage_appended_samples_total")
        again = daemon.scrape_until(
            lambda scrape: scrape.value("perjoule_storage_appended_samples_total") > appended, "storing resumes", 20)
        not_fallen(seen, again)
        grown(daemon, meter, package_joules(again) + 20)
        check(daemon.wait_lines("storing works again"), "the log says that storing works again")
        last = daemon.scrape()
        daemon.kill()
    for file in ("ledger.db", "history.db"):
        with sqlite3.connect(disk / file) as database:
            equal(database.execute("PRAGMA integrity_check").fetchone()[0], "ok", f"integrity of {file}")
        database.close()
    with Daemon(binary, directory, *flags) as daemon:
        not_fallen(last, daemon.scrape_until(lambda scrape: scrape[PERSISTED[0]], "the total"))
        daemon.stop()


if __name__ == "__main__":
    sys.exit(main([history_is_kept_aside, ledger_is_kept_aside, cut_beside_its_log, full_disk]))
