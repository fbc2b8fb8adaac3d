#!/usr/bin/env python3
"""Files of the storage that others move, delete, replace or overwrite under a running daemon, and kill -9 after that.

From two seconds after the fault on, a kill takes back no total that /metrics showed and no sample that the API
answered. lost_files.py PERJOULED   PERJOULE_STRIKES=20 makes it as long as in the soak test
"""
import concurrent.futures
import json
import os
import random
import shutil
import sys
import urllib.parse

from harness import Daemon, check, equal, for_seconds, main, wait_for
from meter import FAST, PERSISTED, Meter, grown, not_fallen, package_joules

STRIKES = int(os.environ.get("PERJOULE_STRIKES", "1"))
NOTICED = 2.0  # seconds
POWER = "perjoule_cpu_package_power_watts"


def unlink(*suffixes):
    def fault(store, name):
        for suffix in suffixes:
            (store / f"{name}{suffix}").unlink()
    return fault


def garbage(offset, size):
    """Over `size` bytes from `offset` on; None: to the end of the file."""
    def fault(store, name):
        path = store / name
        with open(path, "r+b") as file:
            count = path.stat().st_size - offset if size is None else size
            os.pwrite(file.fileno(), random.randbytes(count), offset)
    return fault


def cut(store, name):
    os.truncate(store / name, (store / name).stat().st_size // 2)


def replace(suffix):
    """By a file of the same size with other bytes, as a copy that went wrong."""
    def fault(store, name):
        path, other = store / f"{name}{suffix}", store / "other"
        other.write_bytes(random.randbytes(path.stat().st_size))
        other.rename(path)
    return fault


def old_log(store, name):
    """A copy of the -wal is put back, as a backup program does it."""
    path, old = store / f"{name}-wal", store / "old"
    before = path.read_bytes()
    old.write_bytes(before)
    wait_for(lambda: path.read_bytes() != before, "a commit into the -wal")
    old.rename(path)


def move_directory(store, _):
    store.rename(store.with_name("moved"))


def replace_directory(store, _):
    copy = store.with_name("copy")
    shutil.copytree(store, copy)
    store.rename(store.with_name("moved"))
    copy.rename(store)


OF_A_FILE = {
    "-wal deleted": unlink("-wal"), "-shm deleted": unlink("-shm"), "-wal and -shm deleted": unlink("-wal", "-shm"),
    "database deleted": unlink(""), "all deleted": unlink("", "-wal", "-shm"),
    "-wal replaced": replace("-wal"), "-wal put back": old_log, "database replaced": replace(""),
    "garbage over the first page": garbage(0, 4096), "garbage over the header": garbage(0, 100),
    "garbage everywhere": garbage(0, None), "garbage behind the first page": garbage(4096, None), "database cut": cut,
}
FAULTS = [(name, what, fault) for name in ("ledger.db", "history.db") for what, fault in OF_A_FILE.items()]
FAULTS += [("", "directory moved", move_directory), ("", "directory replaced", replace_directory)]


def answered(daemon):
    """The samples of the API by time, or None while it does not answer."""
    query = urllib.parse.quote(f"{POWER}[1h]")
    status, _, body = daemon.get(f"/api/v1/query?query={query}")
    if status != 200:
        return None
    found = json.loads(body)["data"]["result"]
    return {at: value for at, value in found[0]["values"]} if found else {}


class Seen:
    """What a daemon has shown so far."""

    def __init__(self, daemon, meter):
        self.daemon, self.meter = daemon, meter
        self.totals = grown(daemon, meter, 30)
        self.samples = wait_for(lambda: (found := answered(daemon)) and len(found) > 5 and found, "samples of the API")
        self.works = True

    def look(self):
        self.meter.advance(10)
        now = self.daemon.scrape()
        if now[PERSISTED[0]]:
            not_fallen(self.totals, now)
            self.totals = now
        found = answered(self.daemon)
        self.works = found is not None and self.samples.keys() <= found.keys()
        if found:
            self.samples |= found


def strike(binary, directory, name, what, fault):
    directory.mkdir()
    meter, store = Meter(directory), directory / "store"
    flags = (*FAST, *meter.tree.flags)
    with Daemon(binary, directory, *flags) as daemon:
        seen = Seen(daemon, meter)
        fault(store, name)
        for _ in for_seconds(NOTICED + random.random() * 1.5, every=0.1):
            seen.look()
        check(seen.works, f"the API has all that it had answered\n{daemon.log()}")
        lines = daemon.wait_lines("msg=storage", "note=", f"{name or 'ledger.db'}: ")
        equal(len(lines), 1, f"lines that say so\n{daemon.log()}")
        for file in ([name.removesuffix(".db")] if name else ["ledger", "history"]):
            equal(daemon.scrape().value("perjoule_storage_recoveries_total", file=file), 1, f"recoveries of the {file}")
        daemon.kill()
    with Daemon(binary, directory, *flags) as daemon:
        again = daemon.scrape_until(lambda scrape: package_joules(scrape) > 0, "the total")
        not_fallen(seen.totals, again)
        found = wait_for(lambda: answered(daemon), "samples of the API")
        lost = seen.samples.keys() - found.keys()
        check(not lost, f"{len(lost)} of {len(seen.samples)} samples were lost\n{daemon.log()}")
        grown(daemon, meter, package_joules(again) + 10)
        daemon.stop()


def struck(binary, directory):
    jobs = [(n, *each) for n in range(STRIKES) for each in FAULTS]
    failures = []
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        running = {pool.submit(strike, binary, directory / f"{n}-{name}-{what.replace(' ', '-')}", name, what, fault):
                   (n, name, what) for n, name, what, fault in jobs}
        for done in concurrent.futures.as_completed(running):
            if (problem := done.exception()) is not None:
                failures.append(f"{running[done]}: {problem!r}"[:6000])
    print(f"{len(jobs)} strikes, {len(failures)} failed")
    check(not failures, "\n".join(failures))


if __name__ == "__main__":
    sys.exit(main([struck]))
