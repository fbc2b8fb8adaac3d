#!/usr/bin/env python3
"""The measurements of run.sh, which has built the programs in build/bench."""
import contextlib
import json
import math
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time

import peers
from host import Gpus, Receiver, Sensors, Server, free_port

BUILD = pathlib.Path("build/bench").absolute()
SCRATCH = BUILD / "measured"
RUNS = 5
COLLECTORS = ("hwmon", "thermal_zone", "rapl", "cpu")
AS_JSON = "--json" in sys.argv


def say(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def figure(name, ours, unit, peer=None, theirs=None):
    """Prints the medians and their ratio."""
    value = statistics.median(ours)
    row = {"figure": name, "value": value, "unit": unit}
    if peer:
        of_peer = statistics.median(theirs)
        row |= {"peer": peer, "peer_value": of_peer, "ratio": of_peer / value}
    words = [f"{field:.4g}" if isinstance(field, float) else str(field) for field in row.values()]
    print(json.dumps(row) if AS_JSON else " ".join(words), flush=True)


def beside(name, ours, unit, theirs):
    """Prints a line for each peer; `theirs` is by its name. Without a figure of ours, the peer's alone as NAME_PEER."""
    for peer, values in theirs.items():
        figure(*((name, ours, unit, peer, values) if ours else (f"{name}_{peer}", values, unit)))


def program(name, *arguments):
    """The lines "FIGURE NUMBER..." that a program prints, as lists of numbers by figure."""
    text = subprocess.run([BUILD / "tests/bench" / name, *arguments], check=True, capture_output=True, text=True).stdout
    rows = {}
    for line in text.splitlines():
        key, *numbers = line.split()
        rows.setdefault(key, []).append([float(number) for number in numbers])
    return rows


def start_daemon(sensors, periods, *flags, gpus=None, alerts=None):
    port = free_port()
    config = SCRATCH / "perjouled.json"
    config.write_text(json.dumps({"collectors": {name: {"period": period} for name, period in periods.items()},
                                  "alerts": alerts or {}}))
    command = [BUILD / "perjouled", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}",
               f"--path.sysfs={sensors.root}", *flags]
    if gpus:
        command.append(f"--path.nvml={gpus.library}")
    return Server("perjouled", command, port, SCRATCH / "perjouled.log", gpus.environment if gpus else None)


def start_node_exporter():
    port = free_port()
    command = ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"]
    return Server("node_exporter", command, port, SCRATCH / "node_exporter.log")


def start_exposer():
    log = SCRATCH / "exposer.log"
    log.unlink(missing_ok=True)
    server = Server("prometheus_cpp", [BUILD / "tests/bench/bench_exposer"], 0, log)
    while not log.read_text().endswith("\n"):
        if server.process.poll() is not None:
            raise SystemExit(f"prometheus_cpp ended: see {log}")
        time.sleep(0.01)
    server.connection.port = int(log.read_text())
    return server


def wait_until_ready(daemon):
    while daemon.get("/-/ready", accepted=(200, 503))[0] != 200:
        time.sleep(0.1)


def spent(servers, seconds, rate, encoding=None):
    """CPU seconds of each server over a window in which each is scraped `rate` times a second, or left alone."""
    before = [server.cpu_seconds() for server in servers]
    begin = time.monotonic()
    for scrape in range(round(seconds * rate)):
        time.sleep(max(begin + scrape / rate - time.monotonic(), 0))
        if encoding:
            for server in servers:
                server.get("/metrics", encoding)
    time.sleep(max(begin + seconds - time.monotonic(), 0))
    return [server.cpu_seconds() - was for server, was in zip(servers, before)]


def scrape():
    rows = program("bench_render")["scrape_render_us_per_series"]
    figure("scrape_render_us_per_series", [row[0] for row in rows], "us", "prometheus_cpp", [row[1] for row in rows])

    # The daemon samples on its own schedule, node_exporter when it is scraped; the daemon's cost of sampling is in
    # daemon_cpu_percent. So sensors are read once a minute, and the windows lie between two reads; what an idle server
    # uses in a window of the same length is subtracted. Scrapes are at 5 Hz because the daemon renders at most ten
    # times a second, so each of them is rendered.
    seconds, rate = 16, 5
    with contextlib.ExitStack() as stack:
        sensors = Sensors(17)
        stack.callback(sensors.close)
        servers = [start_daemon(sensors, {name: "1m" for name in COLLECTORS}, "--no-storage"), start_node_exporter(),
                   start_exposer()]
        for server in servers:
            stack.callback(server.close)
        for server in servers:
            server.wait()
        say("scrape: waiting for the daemon's first reading of all sensors (at the full minute)")
        wait_until_ready(servers[0])
        series = [server.series() for server in servers]
        say("series: " + ", ".join(f"{server.name} {count}" for server, count in zip(servers, series)))
        costs = {"identity": [], "gzip": []}
        for _ in range(RUNS):
            time.sleep((2 - time.time()) % 60)
            idle = spent(servers, seconds, rate)
            for encoding, of_encoding in costs.items():
                busy = spent(servers, seconds, rate, encoding)
                of_encoding.append([(b - i) * 1e6 / (seconds * rate) / n for b, i, n in zip(busy, idle, series)])
            say(f"CPU ms in {seconds} s idle: " + ", ".join(f"{s.name} {i * 1e3:.1f}" for s, i in zip(servers, idle)))
    for encoding, name in (("identity", "scrape_http_us_per_series"), ("gzip", "scrape_http_gzip_us_per_series")):
        for peer in (1, 2):
            runs = costs[encoding]
            figure(name, [run[0] for run in runs], "us", servers[peer].name, [run[peer] for run in runs])


def quantile_of_lateness(before, after, quantile):
    """In seconds, of the calls between two scrapes; linear within a bucket, as in Prometheus' histogram_quantile."""
    def buckets(text):
        return [(float(le), float(n)) for le, n in
                re.findall(r'^perjoule_sampling_lateness_seconds_bucket\{le="([^"]+)"\} (\S+)$', text, re.MULTILINE)]
    counts = [(le, n - m) for (le, n), (_, m) in zip(buckets(after), buckets(before))]
    rank = quantile * counts[-1][1]
    lower, below = 0.0, 0.0
    for upper, count in counts:
        if count >= rank and count > below:
            return lower if math.isinf(upper) else lower + (upper - lower) * (rank - below) / (count - below)
        lower, below = upper, count
    raise SystemExit("perjoule_sampling_lateness_seconds counts no call of a collector between two scrapes")


def daemon():
    """More than 500 series each second, of the stand-in's eight GPUs and of sensors, stored on disk and scraped once a
    second, like node_exporter beside it. The CPU time in the stand-in is not the daemon's and is subtracted."""
    seconds = 30
    rows = {name: [] for name in ("start", "cpu", "rss", "peak", "late", "peer_cpu", "peer_rss")}
    for _ in range(RUNS):
        with contextlib.ExitStack() as stack:
            sensors = Sensors(2)
            stack.callback(sensors.close)
            sensors.churn()
            gpus = Gpus(BUILD)
            stack.callback(gpus.close)
            storage = SCRATCH / "storage"
            shutil.rmtree(storage, ignore_errors=True)
            storage.mkdir(mode=0o700)
            ours = start_daemon(sensors, {name: "1s" for name in (*COLLECTORS, "nvml")}, f"--storage.path={storage}",
                                gpus=gpus)
            stack.callback(ours.close)
            rows["start"].append(ours.wait())
            theirs = start_node_exporter()
            stack.callback(theirs.close)
            theirs.wait()
            wait_until_ready(ours)
            spent([ours, theirs], 5, 1, "identity")  # warm
            before, driver = ours.text(), gpus.spent()[0]
            cpu, peer_cpu = spent([ours, theirs], seconds, 1, "identity")
            cpu -= gpus.spent()[0] - driver
            rows["cpu"].append(cpu / seconds * 100)
            rows["peer_cpu"].append(peer_cpu / seconds * 100)
            rows["rss"].append(ours.memory_mib("VmRSS"))
            rows["peak"].append(ours.memory_mib("VmHWM"))
            rows["peer_rss"].append(theirs.memory_mib("VmRSS"))
            rows["late"].append(quantile_of_lateness(before, ours.text(), 0.99) * 1e6)
            fresh = re.search(r"^perjoule_series (\S+)$", before, re.MULTILINE)[1]
            say(f"series: {fresh} of sources, {ours.series()} in a scrape; node_exporter {theirs.series()}; "
                f"CPU {rows['cpu'][-1]:.3f} %, RSS {rows['rss'][-1]:.1f} MiB")
    figure("daemon_cpu_percent_500_series", rows["cpu"], "%", "node_exporter", rows["peer_cpu"])
    figure("daemon_rss_mib_500_series", rows["rss"], "MiB", "node_exporter", rows["peer_rss"])
    figure("daemon_rss_peak_mib_500_series", rows["peak"], "MiB")
    figure("sampling_lateness_p99_us", rows["late"], "us")
    figure("start_to_first_scrape_ms", rows["start"], "ms")
    crossing()


def crossing():
    """The time from a sensor's crossing of a threshold, at any moment of its 1 s period, to the arrival of the POST."""
    with contextlib.ExitStack() as stack:
        sensors = Sensors(1)
        stack.callback(sensors.close)
        receiver = Receiver()
        stack.callback(receiver.close)
        sensor = sensors.readings[0][0]  # "Sensor 1"
        rule = {"alert": "Crossing",
                "value": {"metric": "perjoule_temperature_celsius", "match": {"sensor": "Sensor 1"}},
                "levels": [{"severity": "warning", "raise_above": 80, "clear_below": 70}], "summary": "Hot."}
        alerts = {"default_rules": False, "rules": [rule], "alertmanagers": [receiver.url]}
        storage_path = SCRATCH / "crossing"
        shutil.rmtree(storage_path, ignore_errors=True)
        storage_path.mkdir(mode=0o700)
        daemon = start_daemon(sensors, {"hwmon": "1s"}, f"--storage.path={storage_path}", alerts=alerts)
        stack.callback(daemon.close)
        daemon.wait()
        wait_until_ready(daemon)
        took = []
        for run in range(2 * RUNS + 1):
            for degrees in (85, 60):
                time.sleep(0.3 + run % 10 / 10)
                receiver.posted.clear()
                begin = time.monotonic()
                os.pwrite(sensor, b"%d000\n" % degrees, 0)  # the same length as before
                if not receiver.posted.wait(10):
                    raise SystemExit("no alert arrived")
                took.append((receiver.at - begin) * 1000)
    say(f"crossing to POST: {min(took):.0f} to {max(took):.0f} ms in {len(took)} crossings, a period is 1000 ms")
    figure("alert_crossing_to_alertmanager_ms", took, "ms")


def gpu_overhead(period, deadline):
    """CPU percent without the driver's share, and resident MiB, with eight GPUs, storage and a scrape each second."""
    seconds = 20
    with contextlib.ExitStack() as stack:
        sensors, gpus = Sensors(0), Gpus(BUILD)
        stack.callback(sensors.close)
        stack.callback(gpus.close)
        directory = SCRATCH / "gpu"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
        flags = [f"--storage.path={directory}", f"--collector.nvml.deadline={deadline}"]
        flags += [f"--no-collector.{name}" for name in COLLECTORS]
        ours = start_daemon(sensors, {"nvml": period}, *flags, gpus=gpus)
        stack.callback(ours.close)
        ours.wait()
        wait_until_ready(ours)
        spent([ours], 4, 1, "identity")
        before, calls = gpus.spent()
        cpu, = spent([ours], seconds, 1, "identity")
        after, calls_after = gpus.spent()
        say(f"every {period}: {ours.series()} series, CPU {cpu / seconds * 100:.3f} %, of it "
            f"{(after - before) / seconds * 100:.3f} % in the driver's stand-in, "
            f"{(calls_after - calls) / seconds:.0f} calls per second")
        return (cpu - (after - before)) / seconds * 100, ours.memory_mib("VmRSS")


def scrape_milliseconds(server, seconds):
    lasted = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        begin = time.monotonic()
        server.get("/metrics")
        lasted.append((time.monotonic() - begin) * 1000)
        time.sleep(0.1)
    return statistics.median(lasted)


def gpu():
    once = [gpu_overhead("1s", "900ms") for _ in range(RUNS)]
    tenfold = [gpu_overhead("100ms", "90ms") for _ in range(RUNS)]
    figure("gpu8_cpu_percent_1hz", [cpu for cpu, _ in once], "%")
    figure("gpu8_cpu_percent_10hz", [cpu for cpu, _ in tenfold], "%")
    figure("gpu8_rss_mib", [memory for _, memory in once], "MiB")
    ratios = []
    with contextlib.ExitStack() as stack:
        sensors, gpus = Sensors(0), Gpus(BUILD).controlled()
        stack.callback(sensors.close)
        stack.callback(gpus.close)
        ours = start_daemon(sensors, {"nvml": "1s"}, "--no-storage", gpus=gpus)
        stack.callback(ours.close)
        ours.wait()
        wait_until_ready(ours)
        for board in range(RUNS):
            healthy = scrape_milliseconds(ours, 8)
            gpus.hang(board)
            scrape_milliseconds(ours, 3)
            hung = scrape_milliseconds(ours, 8)
            gpus.release(board)
            scrape_milliseconds(ours, 2)
            say(f"median scrape {healthy:.2f} ms, with a hung GPU {hung:.2f} ms")
            ratios.append(hung / healthy)
    figure("gpu_hung_scrape_median_ratio", ratios, "ratio")


def history(series, seconds, mode, start_ms, runs=RUNS):
    """Writes, reads and queries a history in process; returns values by figure. The last history stays in
    SCRATCH/history. Figures of time and memory have the number of series in their names."""
    rows = {}
    for run in range(runs):
        directory = SCRATCH / "history"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
        say(f"history: {series * seconds} samples, {mode}, run {run + 1} of {runs}")
        for name, values in program("bench_history", directory, str(series), str(seconds), str(start_ms),
                                    mode).items():
            rows.setdefault(name, []).append(values[0][0])
    size = f"_{series // 1000}k"
    of_size = ("storage_cpu_us_per_sample", "storage_written_per_sample", "storage_rss_mib",
               "storage_commit_longest_ms")
    return {name + (size if name in of_size else ""): values for name, values in rows.items()}


def storage():
    """Compares the history with its peers on the same samples. A peer is fed only once, because its bytes vary by less
    than a percent, and the other figures differ from ours by factors."""
    rows = {}
    for _ in range(RUNS):
        for name, values in program("bench_storage").items():
            rows.setdefault(name, []).append(values[0][0])
    start_ms = peers.recent_start_ms()
    rows |= {name: values for name, values in history(10 * peers.SERIES, 3600, "lossless", start_ms).items()
             if name.endswith("_10k")}
    # One run, because the bytes are the same each time.
    declared = history(peers.SERIES, peers.SECONDS, "declared", start_ms, runs=1)
    rows["storage_bytes_per_sample_declared"] = declared["storage_bytes_per_sample"]
    rows |= history(peers.SERIES, peers.SECONDS, "lossless", start_ms)
    with contextlib.ExitStack() as stack:
        sensors = Sensors(1)
        stack.callback(sensors.close)
        daemon = start_daemon(sensors, {"hwmon": "10s"}, f"--storage.path={SCRATCH / 'history'}")
        stack.callback(daemon.close)
        daemon.wait()
        wait_until_ready(daemon)
        of_peers = peers.measure(SCRATCH, BUILD / "tests/bench/bench_feed", start_ms,
                                 {"perjoule": f"http://127.0.0.1:{daemon.port}"}, say)
    units = {"_us_": "us", "_ms": "ms", "_mib_": "MiB", "": "bytes"}  # the first whose key is in the name
    def unit_of(name):
        return next(unit for part, unit in units.items() if part in name)
    for name, values in rows.items():
        if name not in of_peers:
            figure(name, values, unit_of(name))
    for name, theirs in of_peers.items():
        # A query over HTTP is compared only with queries over HTTP.
        ours = theirs.pop("perjoule", None if name.startswith("query_") else rows.get(name))
        beside(name, ours, unit_of(name), theirs)


def main():
    group = sys.argv[1]
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir(parents=True)
    say(f"load averages {os.getloadavg()}, {os.cpu_count()} CPUs")
    for name, measure in (("scrape", scrape), ("storage", storage), ("daemon", daemon), ("gpu", gpu)):
        if group in (name, "all"):
            measure()
    say(f"load averages {os.getloadavg()}")


if __name__ == "__main__":
    main()
