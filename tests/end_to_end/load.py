#!/usr/bin/env python3
"""Clients that ask for too much, do not read, or never pause: the others are served, memory and descriptors hold."""
import contextlib
import os
import re
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import time
import urllib.parse

from harness import Daemon, Tree, check, equal, for_seconds, main, wait_for

MEBI = 1 << 20


def sensors(directory, count, chips=1):
    """`count` temperatures in all."""
    tree = Tree(directory)
    for chip in range(chips):
        files = {f"temp{number}_input": 27800 + number for number in range(1, count // chips + 1)}
        tree.chip(chip, f"chip{chip}_with_a_name_of_some_length", files)
    return tree


def resident(daemon):
    text = open(f"/proc/{daemon.pid}/status", encoding="ascii").read()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024


def took(ask):
    begin = time.monotonic()
    ask()
    return time.monotonic() - begin


def clients_that_do_not_read(binary, directory):
    """60 connections that ask for large answers again and again and take none: a bound over all of them."""
    with Daemon(binary, directory, *sensors(directory, 300).flags, "--storage.commit=1s") as daemon:
        metric = "perjoule_temperature_celsius"
        wait_for(lambda: metric.encode() in daemon.get(f"/api/v1/query?query={metric}")[2], "the history", 15)
        large = urllib.parse.quote(f'{metric}{{sensor=~"temp[12].?"}}')
        now = time.time()

        def range_query(query):
            return (f"/api/v1/query_range?query={query}&start={now}&end={now + 250}&step=0.025")

        status, _, body = daemon.get(range_query(large), seconds=20)
        check(status == 200 and len(body) > 2 * MEBI, f"{status}, an answer of {len(body)} bytes")
        status, _, body = daemon.get(range_query(metric), seconds=20)
        equal(status, 422, f"an answer above the bound: {body[:200]}")
        before, most, refused = resident(daemon), 0, 0
        request = f"GET {range_query(large)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        with contextlib.ExitStack() as stack:
            def connect():
                client = stack.enter_context(socket.socket())
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.connect(("127.0.0.1", daemon.port))
                client.sendall(request)
                return client

            attackers = [connect() for _ in range(60)]
            for passed in for_seconds(9, every=0.2):
                most = max(most, resident(daemon))
                equal(daemon.get("/metrics")[0], 200, f"/metrics after {passed:.1f} s")
            for client in attackers:
                client.setblocking(False)
                with contextlib.suppress(OSError):
                    refused += b" 503 " in client.recv(100)[:20]
        check(refused > 0, "no query was refused with 503")
        check(most < 96 * MEBI, f"{most / MEBI:.0f} MiB resident, {before / MEBI:.0f} before")
        print(f"resident: {before / MEBI:.0f} MiB before, {most / MEBI:.0f} at most; {refused} of 60 refused")
        wait_for(lambda: daemon.get(range_query(large), seconds=20)[0] == 200, "queries are answered again", 20)
        daemon.stop()


def keep_busy(port, count, paths):
    """Runs in a process of its own: `count` connections, each of which asks again as soon as it has its answer."""
    selector = selectors.DefaultSelector()
    for number in range(count):
        client = socket.create_connection(("127.0.0.1", port), 30)
        path = paths[number % len(paths)]
        ask = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n".encode()
        client.sendall(ask)
        client.setblocking(False)
        selector.register(client, selectors.EVENT_READ, [ask, b""])
    print("busy", flush=True)
    answers = 0
    while True:
        for key, _ in selector.select():
            ask, kept = key.data
            bytes_in = key.fileobj.recv(1 << 20)
            if not bytes_in:
                sys.exit("the daemon closed a busy connection")
            kept += bytes_in
            head = kept.find(b"\r\n\r\n")
            if head >= 0:
                length = int(re.search(rb"Content-Length: (\d+)", kept[:head])[1])
                if len(kept) >= head + 4 + length:
                    kept = b""
                    answers += 1
                    key.fileobj.sendall(ask)
            key.data[1] = kept


def busy_clients(binary, directory):
    """200 connections with ?collect[]= that never pause: another client's p50 and health stay fast."""
    with Daemon(binary, directory, *sensors(directory, 2000, 10).flags, "--no-storage") as daemon:
        paths = "/metrics?collect[]=hwmon /metrics?collect[]=hwmon&collect[]=cpu"
        with subprocess.Popen([sys.executable, __file__, "--busy", str(daemon.port), "200", paths],
                              stdout=subprocess.PIPE, text=True) as busy:
            try:
                equal(busy.stdout.readline(), "busy\n", "the clients")
                time.sleep(1)
                scrapes, health = [], []
                for _ in for_seconds(6, every=0.05):
                    scrapes.append(took(lambda: equal(daemon.get("/metrics")[0], 200, "/metrics")))
                    health.append(took(lambda: equal(daemon.get("/-/healthy")[0], 200, "health")))
                check(busy.poll() is None, "a busy client was closed")
            finally:
                busy.terminate()
        print(f"/metrics p50 {statistics.median(scrapes) * 1000:.1f} ms, at most {max(scrapes) * 1000:.0f}; "
              f"health p50 {statistics.median(health) * 1000:.1f} ms, at most {max(health) * 1000:.0f}; {len(health)}")
        check(statistics.median(scrapes) < 0.020, f"p50 {statistics.median(scrapes) * 1000:.1f} ms")
        check(max(health) < 0.100, f"health {max(health) * 1000:.0f} ms")
        daemon.stop()


def few_descriptors(binary, directory):
    """More sensor files than descriptors: HTTP, history and every sensor work."""
    tree = sensors(directory, 1500, 5)

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))

    with Daemon(binary, directory, *tree.flags, "--storage.commit=1s", preexec_fn=limit) as daemon:
        def all_there(scrape):
            return len(scrape["perjoule_temperature_celsius"]) == 1500

        daemon.scrape_until(all_there, "every sensor", 20)
        clients = [socket.create_connection(("127.0.0.1", daemon.port), 5) for _ in range(250)]
        for _ in for_seconds(3, every=0.3):
            check(all_there(daemon.scrape()), "every sensor while 250 clients are connected")
            check(len(os.listdir(f"/proc/{daemon.pid}/fd")) < 500, "descriptors are left")
        for client in clients:
            client.close()
        query = "/api/v1/query?query=count(perjoule_temperature_celsius)"
        wait_for(lambda: b'"1500"' in daemon.get(query)[2], "the history has every sensor", 20)
        failed = [value for _, value in daemon.scrape()["perjoule_storage_failed_commits_total"]]
        equal(sum(failed), 0, f"failed commits: {failed}")
        daemon.stop()


def raised_limit(binary, directory):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, 4096))

    with Daemon(binary, directory, "--no-storage", preexec_fn=limit) as daemon:
        text = open(f"/proc/{daemon.pid}/limits", encoding="ascii").read()
        equal(re.search(r"Max open files\s+(\d+)", text)[1], "4096", "the soft limit")
        daemon.stop()


def costly_expressions(binary, directory):
    """Regular expressions that RE2 cannot make fast: refused, or within the deadline, and the stop waits for none."""
    with Daemon(binary, directory, *sensors(directory, 500).flags, "--storage.commit=1s") as daemon:
        metric = "perjoule_temperature_celsius"
        wait_for(lambda: metric.encode() in daemon.get(f"/api/v1/query?query={metric}")[2], "the history", 15)

        def query(expression):
            return f"/api/v1/query?query={urllib.parse.quote(expression)}"

        large = "(" + "|".join(f"[a-z]{{{n}}}.*[0-9]{{{n}}}" for n in range(1, 60)) + ")"
        for expression in (large, "(.*a){500}", "((a?b?){30}){30}", ".{400}"):
            seconds = took(lambda expression=expression: equal(
                daemon.get(query(f'{{sensor=~"{expression}"}}'))[0], 422, expression[:40]))
            check(seconds < 1, f"{expression[:40]}: {seconds:.1f} s")
        status, _, body = daemon.get(query(f'{{sensor=~"{large}"}}'))
        check(b"instructions" in body and b"1:2" in body, body)
        slow = ",".join('sensor=~"(.*[a-z0-9]){4}.*|%d"' % n for n in range(30))
        seconds = took(lambda: equal(daemon.get(query("{" + slow + "}"), seconds=15)[0], 200, "30 expressions"))
        check(seconds < 11, f"within the deadline: {seconds:.1f} s")
        with socket.create_connection(("127.0.0.1", daemon.port), 5) as client:
            client.sendall(f"GET {query('{' + slow + '}')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            time.sleep(0.2)
            print(f"slow query {seconds:.2f} s, the stop meanwhile {daemon.stop(within=1.5):.2f} s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--busy"]:
        keep_busy(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4].split())
    sys.exit(main([clients_that_do_not_read, busy_clients, few_descriptors, raised_limit, costly_expressions]))
