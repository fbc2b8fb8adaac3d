#!/usr/bin/env python3
# needs: a build in build/dev, wrk; 2 minutes and a machine with nothing else to do
"""Measures how hostile clients affect scrapes: a keep-alive client scrapes ten times a second while others misbehave.

Prints for each attack the median scrape latency, its ratio to that without an attack, and the growth of the daemon's
memory; at the end the samples that storage dropped and the ticks that collectors missed. Exit 1 if a median more than
doubles, memory grows by more than 64 MiB, a scrape fails, or anything was dropped or missed.
"""
import argparse
import contextlib
import http.client
import json
import pathlib
import re
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))
from harness import REPOSITORY, Daemon, check, for_seconds  # noqa: E402

RATIO_MAX = 2.0
MEMORY_MAX = 64 << 20
GIGABYTE = 1 << 30
PIPELINE = """
init = function(args)
  local requests = {}
  for i = 1, 16 do requests[i] = wrk.format("GET", "/metrics") end
  pipelined = table.concat(requests)
end
request = function() return pipelined end
"""


def scraper(port, seconds):
    """Runs in a process of its own. Scrapes every 100 ms; prints the latencies, reconnects and failures as JSON."""
    latencies, connects, failures = [], 1, 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)

    def scrape():
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        return response.status == 200 and bool(response.read())

    for _ in for_seconds(seconds, every=0.1):
        begin = time.monotonic()
        try:
            good = scrape()
        except (OSError, http.client.HTTPException):
            # A server may close a connection between two requests; clients such as Prometheus then retry on a new one.
            connection.close()
            connects += 1
            try:
                good = scrape()
            except (OSError, http.client.HTTPException):
                connection.close()
                good = False
        failures += 0 if good else 1
        latencies.append(time.monotonic() - begin)
    print(json.dumps({"latencies": latencies, "connects": connects, "failures": failures}))


def resident(daemon):
    text = pathlib.Path(f"/proc/{daemon.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) << 10


def connected(port):
    client = socket.socket()
    client.connect(("127.0.0.1", port))
    client.setblocking(False)
    return client


def slow_loris(port, seconds):
    """Two hundred clients send a header one byte at a time, and reconnect when they are disconnected."""
    clients, thrown = [connected(port) for _ in range(200)], 0
    for client in clients:
        client.send(b"GET /metrics HTTP/1.1\r\nX: ")
    for _ in for_seconds(seconds, every=0.5):
        for index, client in enumerate(clients):
            try:
                client.send(b"a")
            except OSError:
                thrown += 1
                client.close()
                clients[index] = connected(port)
    for client in clients:
        client.close()
    return f"200 clients, disconnected {thrown} times"


def idle(port, seconds):
    """A thousand connections that send nothing."""
    clients = [connected(port) for _ in range(1000)]
    for _ in for_seconds(seconds, every=0.2):
        pass
    closed = 0
    for client in clients:
        with contextlib.suppress(BlockingIOError):
            try:
                closed += client.recv(4096) == b""
            except ConnectionError:
                closed += 1
        client.close()
    return f"1000 clients, the daemon closed {closed}"


def endless_header(port, seconds):
    """Headers of a gigabyte, one after the other."""
    attempts = sent = 0
    piece = b"a" * 65536
    for _ in for_seconds(seconds, every=0.01):
        with socket.socket() as client:
            client.settimeout(5)
            client.connect(("127.0.0.1", port))
            attempts += 1
            taken = 0
            with contextlib.suppress(OSError):
                client.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
                while taken < GIGABYTE:
                    taken += client.send(piece)
            sent = max(sent, taken)
    return f"{attempts} attempts, at most {sent / 1024:.0f} KiB taken of one"


def wrk(port, seconds, connections, script=None):
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{port}/metrics"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        if script:
            file.write(script)
            file.flush()
            words[1:1] = ["-s", file.name]
        ended = subprocess.run(words, capture_output=True, text=True, timeout=seconds + 30, check=False)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", ended.stdout)
    return f"{connections} connections, {float(rate[1]) if rate else 0:.0f} requests/s answered"


def flood(port, seconds):
    return wrk(port, seconds, 64)


def wide_flood(port, seconds):
    """200 connections: at the daemon's limit of 50 a second on each, it accepts ten thousand requests a second."""
    return wrk(port, seconds, 200)


def flood_of_pipelines(port, seconds):
    return wrk(port, seconds, 64, PIPELINE)


def flood_of_connections(port, seconds):
    """New connections as fast as one process can open them, with one request each."""
    made = answered = 0
    waiting = selectors.DefaultSelector()
    for _ in for_seconds(seconds, every=0):
        for _ in range(50):
            client = connected(port)
            client.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            waiting.register(client, selectors.EVENT_READ)
            made += 1
        for key, _ in waiting.select(0.01):
            with contextlib.suppress(OSError):
                answered += key.fileobj.recv(65536).startswith(b"HTTP/1.1 200")
            waiting.unregister(key.fileobj)
            key.fileobj.close()
    for key in list(waiting.get_map().values()):
        key.fileobj.close()
    return f"{made / seconds:.0f} connections/s made, {answered / seconds:.0f} requests/s answered"


ATTACKS = (slow_loris, idle, endless_header, flood, wide_flood, flood_of_pipelines, flood_of_connections)
# A server cannot distinguish these connections from a scraper that reconnects. The latency under this attack is shown
# but not judged; failed scrapes, memory and drops are.
LATENCY_NOT_JUDGED = (flood_of_connections,)


def measured(port, seconds, attack):
    command = [sys.executable, __file__, f"--scraper={port}", f"--seconds={seconds}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            summary = attack(port, seconds) if attack else "no other client"
            result = json.loads(process.communicate(timeout=seconds + 30)[0])
        finally:
            if process.poll() is None:
                process.kill()
    return result, summary


def missed_ticks(scrape):
    return sum(value for _, value in scrape["perjoule_collector_missed_ticks_total"])


def main():
    parser = argparse.ArgumentParser(description="Hostile clients.")
    parser.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "build/dev/perjouled")
    parser.add_argument("--seconds", type=int, default=12)
    parser.add_argument("--only", nargs="*", help="names of attacks")
    parser.add_argument("--scraper", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.scraper:
        scraper(options.scraper, options.seconds)
        return 0
    check(shutil.which("wrk"), "needs wrk")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="perjoule-abuse-"))
    bad = []
    try:
        with Daemon(options.binary, directory, "--storage.commit=1s") as daemon:
            quiet, _ = measured(daemon.port, options.seconds, None)
            base = statistics.median(quiet["latencies"])
            memory = resident(daemon)
            print(f"{'quiet':22} median {base * 1000:7.2f} ms  RSS {memory >> 10} KiB")
            before = daemon.scrape()
            for attack in ATTACKS:
                if options.only and attack.__name__ not in options.only:
                    continue
                result, summary = measured(daemon.port, options.seconds, attack)
                median = statistics.median(result["latencies"])
                slow = sorted(result["latencies"])[int(len(result["latencies"]) * 0.99)]
                grown = resident(daemon) - memory
                print(f"{attack.__name__:22} median {median * 1000:7.2f} ms  ratio {median / base:5.2f}  p99 "
                      f"{slow * 1000:7.2f} ms  RSS {grown >> 10:+} KiB  failed {result['failures']}  connects "
                      f"{result['connects']}  ({summary})", flush=True)
                if median > RATIO_MAX * base and attack not in LATENCY_NOT_JUDGED:
                    bad.append(f"{attack.__name__}: the median is {median / base:.2f} times that without an attack")
                if grown > MEMORY_MAX:
                    bad.append(f"{attack.__name__}: the memory grew by {grown >> 20} MiB")
                if result["failures"]:
                    bad.append(f"{attack.__name__}: {result['failures']} scrapes failed")
            after = daemon.scrape()
            dropped = after.value("perjoule_storage_dropped_samples_total")
            print(f"dropped samples {dropped:.0f}, missed ticks {missed_ticks(after) - missed_ticks(before):.0f}")
            if dropped > 0 or missed_ticks(after) > missed_ticks(before):
                bad.append("samples were dropped or ticks missed")
            daemon.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    for text in bad:
        print(text)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
