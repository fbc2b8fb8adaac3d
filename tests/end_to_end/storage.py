#!/usr/bin/env python3
"""The store across kills and restarts, with a second daemon, and at an orderly end; `export` of it."""
import csv
import io
import re
import shutil
import signal
import subprocess
import sys

from harness import Daemon, as_nobody, check, equal, main, run, said
from meter import FAST, PERSISTED, Meter, grown, not_fallen, package_joules, shown


def kill_keeps_totals(binary, directory):
    meter = Meter(directory)
    flags = (*FAST, *meter.tree.flags)
    before = None
    for _ in range(3):
        with Daemon(binary, directory, *flags) as daemon:
            # Until a reading is booked nothing is shown, because the device has not been read.
            seen = shown(daemon, meter)
            if before:
                not_fallen(before, seen)
            before = grown(daemon, meter, package_joules(seen) + 50)
            daemon.kill()
        meter.advance(40)  # while no daemon runs: the counter bridges the gap
    with Daemon(binary, directory, *flags) as daemon:
        not_fallen(before, shown(daemon, meter))
        seen = daemon.scrape_until(lambda scrape: package_joules(scrape) == meter.joules(), "joules after three kills")
        equal(seen.value("perjoule_energy_unobserved_seconds_total", device="package-0"), 0, "unobserved seconds")
        daemon.stop()


def two_daemons(binary, directory):
    with Daemon(binary, directory) as first:
        ended = run([binary, f"--storage.path={directory / 'store'}", "--web.listen-address=127.0.0.1:0"])
        equal(ended.returncode, 1, "exit code of the second")
        check(f"pid {first.pid}" in ended.stderr and "remedy=" in ended.stderr, ended.stderr)
        ended = run([binary, "--no-storage", f"--web.listen-address=127.0.0.1:{first.port}"])
        equal(ended.returncode, 1, "exit code with the port in use")
        check("in use" in ended.stderr and re.search(r'remedy="?\S{3,}', ended.stderr), ended.stderr)
        equal(first.get("/-/healthy")[0], 200, "the first one lives")
        first.stop()


def read_only_directory(binary, directory):
    words = as_nobody()
    store = directory / "closed"
    store.mkdir(mode=0o555)
    copy = shutil.copy(binary, directory / "perjouled")
    ended = run([*words, copy, f"--storage.path={store / 'perjoule'}", "--web.listen-address=127.0.0.1:0"])
    equal(ended.returncode, 1, f"exit code\n{ended.stderr}")
    check("Permission denied" in ended.stderr and "install -d" in ended.stderr, ended.stderr)
    store.chmod(0o755)


def no_storage(binary, directory):
    meter = Meter(directory)
    before = set(directory.rglob("*"))
    with Daemon(binary, directory, "--no-storage", *meter.tree.flags, cwd=directory) as daemon:
        grown(daemon, meter, 30)
        daemon.stop()
    equal({path for path in set(directory.rglob("*")) - before if not path.name.startswith("log-")}, set(), "files")
    with Daemon(binary, directory, "--no-storage", *meter.tree.flags) as daemon:
        seen = daemon.scrape_until(lambda scrape: scrape[PERSISTED[0]], "the total")
        equal(package_joules(seen), 0, "totals start at zero")


def flushed_at_the_end(binary, directory):
    meter = Meter(directory)
    # With one commit per minute, only the commit at the end can have written the values checked below.
    flags = ("--storage.commit=60s", "--collector.rapl.period=100ms", *meter.tree.flags)
    with Daemon(binary, directory, *flags) as daemon:
        grown(daemon, meter, 60)
        last = meter.joules()
        daemon.scrape_until(lambda scrape: package_joules(scrape) == last, "the last number of /metrics")
        daemon.stop(within=2.0)
    rows = exported(binary, directory, "csv", "--metric=perjoule_cpu_package_energy_joules_total")
    table = list(csv.DictReader(io.StringIO(rows)))
    check(len(table) > 1, f"no rows in {rows!r}")
    equal((float(table[-2]["value"]), table[-1]["value"]), (last, ""), "the last number of the history and its end")
    with Daemon(binary, directory, *flags) as daemon:
        again = daemon.scrape_until(lambda scrape: scrape[PERSISTED[0]], "the total")
        equal(package_joules(again), last, "the total after the restart")


def exported(binary, directory, form, *flags):
    ended = run([binary, "export", f"--format={form}", f"--storage.path={directory / 'store'}", *flags])
    equal((ended.returncode, said(ended)), (0, ""), f"export --format={form}")
    return ended.stdout


def export(binary, directory):
    meter = Meter(directory)
    with Daemon(binary, directory, *FAST, *meter.tree.flags) as daemon:
        seen = grown(daemon, meter, 60)
        shown(daemon, meter)
        daemon.scrape_until(lambda scrape: scrape.value("perjoule_storage_appended_samples_total") > 100, "history")
        # While the daemon runs, too.
        check(exported(binary, directory, "csv").count("\n") > 20, "rows of a running daemon")
        daemon.stop(signal.SIGINT)
    rows = list(csv.DictReader(io.StringIO(exported(binary, directory, "csv"))))
    metrics = {row["metric"] for row in rows}
    check({"perjoule_cpu_package_energy_joules_total", "perjoule_node_power_watts"} <= metrics, metrics)
    samples = [float(row["value"]) for row in rows if row["value"]]
    last = {(row["metric"], row["labels"]): row["value"] for row in rows}
    equal(set(last.values()), {""}, "the end of every series")

    text = directory / "history.om"
    text.write_text(exported(binary, directory, "openmetrics"))
    data = directory / "tsdb"
    (data / "wal").mkdir(parents=True)  # promtool tsdb dump insists on it
    made = subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", text, data], capture_output=True,
                          text=True, timeout=60, check=False)
    equal(made.returncode, 0, f"promtool tsdb create-blocks-from openmetrics\n{made.stdout}{made.stderr}")
    dumped = subprocess.run(["promtool", "tsdb", "dump", data], capture_output=True, text=True, timeout=60, check=False)
    equal(dumped.returncode, 0, f"promtool tsdb dump\n{dumped.stderr}")
    equal(len(dumped.stdout.splitlines()), len(samples), "samples that Prometheus loaded")
    found = [float(re.search(r"\} (\S+) \d+$", line)[1]) for line in dumped.stdout.splitlines()
             if '__name__="perjoule_cpu_package_energy_joules_total"' in line]
    check(max(found) >= package_joules(seen), f"{max(found)} J in Prometheus, {package_joules(seen)} J on /metrics")
    one = exported(binary, directory, "csv", "--from=2000-01-01", "--to=2001-01-01")
    equal(len(one.splitlines()), 1, "nothing but the header before the history began")
    nowhere = run([binary, "export", f"--storage.path={directory / 'nowhere'}"])
    equal(nowhere.returncode, 1, "exit code without a history")
    check("nowhere/history.db: no such file" in nowhere.stderr and "--storage.path" in nowhere.stderr, nowhere.stderr)


if __name__ == "__main__":
    sys.exit(main([kill_keeps_totals, two_daemons, read_only_directory, no_storage, flushed_at_the_end,
                   export]))
