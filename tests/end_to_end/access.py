#!/usr/bin/env python3
"""Who may ask: requests of other hosts' clients through a real nginx, and of browser pages of other sites, get /metrics
and health, and for page, API and reload the reason of the refusal."""
import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys

from harness import REPOSITORY, Daemon, Skip, check, equal, main, wait_for
from receivers import free_port

LOCAL = ("/", "/api/v1/alerts", "/-/reload")
FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "Via")


@contextlib.contextmanager
def nginx(directory, locations):
    """A server for each block of locations. Yields their ports."""
    if not shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"):
        raise Skip("needs nginx")
    ports = [free_port() for _ in locations]
    servers = "".join(f"server {{ listen 127.0.0.1:{port};\n{block} }}\n" for port, block in zip(ports, locations))
    paths = "".join(f"{name}_temp_path {directory}/{name};\n"
                    for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config = directory / "nginx.conf"
    config.write_text(f"daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/nginx.log;\n"
                      f"events {{}}\nhttp {{ access_log off; {paths}{servers} }}\n")
    path = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    with subprocess.Popen([path, "-c", config, "-p", directory], stderr=subprocess.DEVNULL) as process:
        try:
            for port in ports:
                wait_for(lambda port=port: accepts(port), "nginx listens")
            yield ports
        finally:
            process.terminate()


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ask(port, path, headers=None, host="gpu-07.example"):
    """Status and text. POST for a reload."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST" if path == "/-/reload" else "GET", path, headers={"Host": host} | (headers or {}))
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def refuses(port, word, **options):
    equal(ask(port, "/metrics", **options)[0], 200, f"/metrics, {word}")
    for path in LOCAL:
        status, text = ask(port, path, **options)
        equal(status, 403, f"{path}, {word}: {text}")
        check(word in text, f"{path}: no {word} in {text}")
        if path.startswith("/api"):
            equal(json.loads(text)["errorType"], "forbidden", "the API's form of an error")


def through_nginx(binary, directory):
    example = re.search(r"```nginx\n(.*?)```", (REPOSITORY / "SECURITY.md").read_text(), re.S)[1]
    with Daemon(binary, directory, "--web.enable-lifecycle") as daemon:
        to = f"proxy_pass http://127.0.0.1:{daemon.port}; "
        new = to + "proxy_http_version 1.1; "
        blocks = [f"location / {{ {to} }}",
                  f"location / {{ {new}proxy_set_header Host $host; }}",
                  *(f"location / {{ {new}proxy_set_header {field} 192.0.2.1; }}" for field in FORWARDING),
                  example.replace("127.0.0.1:10190", f"127.0.0.1:{daemon.port}"),
                  f"location / {{ {new} }}"]
        with nginx(directory, blocks) as (bare, host, *forwarding, documented, silent):
            refuses(bare, "HTTP/1.0")
            refuses(host, "gpu-07.example")
            for field, port in zip(FORWARDING, forwarding):
                refuses(port, field)
            equal(ask(documented, "/metrics")[0], 200, "/metrics through the documented block")
            for path in ("/-/healthy", *LOCAL):
                status, text = ask(documented, path)
                equal(status, 403, path)
                check("/metrics" in text, f"{path}: {text}")
            equal(ask(silent, LOCAL[1])[0], 200, "SECURITY.md: it looks like a local client")


def pages_of_other_sites(binary, directory):
    with Daemon(binary, directory, "--web.enable-lifecycle", "--no-storage") as daemon:
        own = f"localhost:{daemon.port}"
        for headers, word in (({"Sec-Fetch-Site": "cross-site"}, "Sec-Fetch-Site"),
                              ({"Origin": "http://evil.example"}, "http://evil.example"),
                              ({"Origin": "null"}, "null"), ({"Origin": "http://localhost:1"}, "http://localhost:1")):
            refuses(daemon.port, word, headers=headers, host=own)
        refuses(daemon.port, "rebound.example", host="rebound.example")
        equal(ask(daemon.port, "/", host=own.upper())[0], 200, "a Host in capitals")
        for host in ("[x", "a..b", "..", "user@localhost"):
            for path in ("/metrics", "/"):
                equal(ask(daemon.port, path, host=host)[0], 400, f"Host: {host}")
        equal(ask(daemon.port, "/api%2fv1/alerts", host=own)[0], 404, "an escaped slash separates nothing")
        equal(ask(daemon.port, "//api/v1/alerts?a=b", host=own)[0], 301, "an empty segment")


def reload_answers(binary, directory):
    """The refused lines go to the log only; one reload a second; no timing makes 431 of 413."""
    config = directory / "perjoule.json"
    config.write_text("{}")
    with Daemon(binary, directory, f"--config.file={config}", "--web.enable-lifecycle", "--no-storage") as daemon:
        config.write_text('{ "alerts": { "webhooks": ["https://planted-secret@hook.example/" ], "nonsense": 1 } }')
        status, text = ask(daemon.port, "/-/reload", host="localhost")
        equal(status, 500, "a bad reload")
        check("see the log" in text and "planted" not in text and "nonsense" not in text, text)
        check(daemon.wait_lines("nonsense"), "the log has the refusal")
        check(not daemon.lines("planted"), "and not the secret")
        answers = [ask(daemon.port, "/-/reload", host="localhost")[0] for _ in range(200)]
        check(answers.count(500) <= 1 + len(answers) // 100 and set(answers) <= {429, 500}, answers)
        for size in (65537, 200_000):
            for together in (False, True):
                with socket.create_connection(("127.0.0.1", daemon.port), 5) as client:
                    head = f"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode()
                    client.sendall(head + b"x" * 15000 if together else head)
                    check(client.recv(100).startswith(b"HTTP/1.1 413 "), f"{size} bytes, together: {together}")


if __name__ == "__main__":
    sys.exit(main([through_nginx, pages_of_other_sites, reload_answers]))
