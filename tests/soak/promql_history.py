#!/usr/bin/env python3
# needs: prometheus; a build in build/dev (cmake --preset dev && ninja -C build/dev perjouled query_record); 2 minutes
"""Compares the API of a daemon with a real Prometheus 2.42 that loaded the daemon's export: every answer must be equal.

It generates telemetry of the last hours with resets, gaps, jitter and series that come and go, some with an end mark.
The store writes it as the daemon would, so most of it is sealed and the newest part is not. perjouled starts with
this history and ends what was left open, and Prometheus gets the output of its `export`, end marks included. Queries
and comparison are those of promql.py, at least 20 of each function.
"""
import argparse
import csv
import datetime
import io
import pathlib
import random
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import REPOSITORY, Daemon, check, run  # noqa: E402
from promql import Api, Differ, Prometheus, compare, read_series  # noqa: E402
from promql_telemetry import HOURS, write_telemetry  # noqa: E402


def record(options, directory):
    """Writes the telemetry; returns the directory for --storage.path."""
    telemetry = directory / "telemetry.om"
    write_telemetry(random.Random(options.seed), telemetry, time.time() - HOURS * 3600 - 60)
    store = directory / "store"
    store.mkdir()
    written = run([options.build / "tests/query_record", telemetry, store], seconds=600)
    check(written.returncode == 0, f"query_record: {written.stderr}")
    print(written.stdout, end="")
    return store


def export(options, store, names, file):
    """The exported series with these names as lines of OpenMetrics; the empty values, which are ends, become NaN."""
    ended = run([options.build / "perjouled", "export", "--format=csv", f"--storage.path={store}"], seconds=600)
    check(ended.returncode == 0, f"perjouled export: {ended.stderr}")
    marks = 0
    with open(file, "w", encoding="utf-8") as out:
        for row in csv.DictReader(io.StringIO(ended.stdout)):
            if row["metric"] not in names:
                continue
            marks += not row["value"]
            moment = datetime.datetime.fromisoformat(row["time"].replace("Z", "+00:00")).timestamp()
            labels = f"{{{row['labels']}}}" if row["labels"] else ""
            out.write(f"{row['metric']}{labels} {row['value'] or 'NaN'} {moment:.3f}\n")
    print(f"{marks} end marks")
    check(marks > 20, "too few end marks")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--each", type=int, default=20, help="queries per function, aggregation and operator")
    parser.add_argument("--build", type=pathlib.Path, default=REPOSITORY / "build/dev")
    options = parser.parse_args()
    options.api = True  # the daemon's clock has gone on since the last sample
    print(f"seed {options.seed}")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="perjoule-promql-"))
    try:
        store = record(options, directory)
        names = {labels["__name__"] for labels in read_series(directory / "telemetry.om")[0]}
        # Without collectors the daemon adds only its own series to the recorded history.
        with Daemon(options.build / "perjouled", directory, f"--storage.path={store}",
                    "--collector.disable-defaults") as daemon:
            file = directory / "export.om"
            export(options, store, names, file)
            series, *span = read_series(file)
            theirs = Prometheus(directory, file)
            ours = Api(f"http://127.0.0.1:{daemon.port}")
            try:
                differ = Differ(ours, theirs)
                compare(differ, series, span, options)
            finally:
                ours.close()
                theirs.close()
            daemon.stop(within=5.0)
    finally:
        shutil.rmtree(directory)
    check(differ.asked - differ.empty >= 300, f"{differ.asked} requests, {differ.empty} of them empty, are too few")
    print(f"{differ.asked} requests, {differ.empty} answers empty, {differ.failed} different; {differ.values} values, "
          f"{differ.identical} to the last digit, the worst off by {differ.worst:.1e} (seed {options.seed})")
    return 1 if differ.failed else 0


if __name__ == "__main__":
    sys.exit(main())
