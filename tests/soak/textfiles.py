#!/usr/bin/env python3
# needs: a build in build/dev; 65 minutes, and nothing else on the processors
"""Textfiles within their limits, at their worst: 9,900 new counters at once, at the start and on top of others; and an
hour of a file that has other series each second, beside an honest one.

No turn of the loop lasts 50 ms and no tick is missed; an honest series appears within 10 s, and from the tenth minute
on resident memory does not grow.

textfiles.py [SECONDS [PERJOULED]]
"""
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))
from harness import REPOSITORY, Daemon, Tree, for_seconds  # noqa: E402

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 3600.0
BINARY = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else REPOSITORY / "build/dev/perjouled"
FAMILY = "perjoule_work_total"
SERIES = 9900
OF_A_SECOND = 500
TURN = "0.05"  # a bound of the histogram


def counters(names, value):
    lines = (f'{FAMILY}{{workload="{name}",kind="steps"}} {value}\n' for name in names)
    return f"# TYPE {FAMILY} counter\n" + "".join(lines)


def put(directory, name, text):
    aside = directory / f"{name}.new"
    aside.write_text(text)
    aside.rename(directory / f"{name}.prom")


def resident_kib(daemon):
    status = pathlib.Path(f"/proc/{daemon.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))


def check_ticks(daemon, what, failures):
    """All ticks began within 50 ms of their time, so no turn of the loop lasted longer."""
    scrape = daemon.scrape()
    late = "perjoule_sampling_lateness_seconds"
    count = scrape.value(f"{late}_count")
    slow = count - scrape.value(f"{late}_bucket", le=TURN)
    missed = sum(value for _, value in scrape["perjoule_collector_missed_ticks_total"])
    print(f"{what}: {count:.0f} ticks, {slow:.0f} later than {TURN} s, {missed:.0f} missed; "
          f"resident {resident_kib(daemon) / 1024:.1f} MiB", flush=True)
    if slow or missed:
        failures.append(f"{what}: {slow:.0f} ticks were late, {missed:.0f} missed")


def shown(scrape, prefix):
    return sum(labels["workload"].startswith(prefix) for labels, _ in scrape[FAMILY])


def many_at_once(directory, flags, failures):
    """New ones, then at a restart, then other names on top of them."""
    files = directory / "files"
    with Daemon(BINARY, directory, *flags) as daemon:
        daemon.scrape_until(lambda seen: seen.state("rapl", "package-0") == "ok", "the package")
        put(files, "work", counters((f"first-{n}" for n in range(SERIES)), 5))
        daemon.scrape_until(lambda seen: shown(seen, "first-") == SERIES, "all series", 20, 0.2)
        check_ticks(daemon, f"{SERIES} new series", failures)
        daemon.stop()
    with Daemon(BINARY, directory, *flags) as daemon:
        daemon.scrape_until(lambda seen: shown(seen, "first-") == SERIES, "all series again", 20, 0.2)
        check_ticks(daemon, "the same at a restart", failures)
        put(files, "work", counters((f"second-{n}" for n in range(SERIES)), 5))
        daemon.scrape_until(lambda seen: shown(seen, "second-") == SERIES, "the other series", 30, 0.2)
        check_ticks(daemon, "other names on top", failures)
        daemon.stop()


def churn(directory, flags, failures):
    """Other series each second, beside an honest one."""
    files, early, late = directory / "files", 0, 0
    put(files, "work", counters([], 0))
    with Daemon(BINARY, directory, *flags) as daemon:
        honest = 0
        for passed in for_seconds(SECONDS, every=1):
            names = (f"job-{int(passed)}-{n}" for n in range(OF_A_SECOND))
            put(files, "work", counters(names, 5))
            if passed >= 20 and (not honest or int(passed) % 60 == 0):  # a file that is not written grows stale
                honest = honest or passed
                put(files, "honest", counters(["honest"], 7))
            if passed >= 30 and not shown(daemon.scrape(), "honest"):
                raise AssertionError(f"the honest series is not shown {passed - honest:.0f} s later")
            resident = resident_kib(daemon)
            if 480 <= passed < 600:
                early = max(early, resident)
            if passed >= 600:
                late = max(late, resident)
            if int(passed) % 60 == 0:
                print(f"{passed:.0f} s: resident {resident / 1024:.1f} MiB", flush=True)
        check_ticks(daemon, "the churn", failures)
        print(f"resident at most {early / 1024:.1f} MiB in minutes 8 to 10, {late / 1024:.1f} MiB afterwards")
        if SECONDS > 900 and late > early * 1.02:
            failures.append("resident memory grows after the tenth minute")
        daemon.stop()


def main():
    with tempfile.TemporaryDirectory(prefix="perjoule-textfiles-") as scratch:
        directory = pathlib.Path(scratch)
        tree = Tree(directory)
        tree.package(0, 1000)
        (directory / "files").mkdir()
        flags = [*tree.flags, f"--collector.textfile.directory={directory / 'files'}", "--collector.textfile.period=1s",
                 "--collector.rapl.period=100ms"]
        failures = []
        many_at_once(directory, flags, failures)
        churn(directory, flags, failures)
    for failure in failures:
        print(f"FAILED: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
