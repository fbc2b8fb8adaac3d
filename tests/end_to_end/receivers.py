"""Receivers of notifications: a webhook in this process, and a real Alertmanager that notifies the same webhook."""
import contextlib
import datetime
import http.server
import json
import pathlib
import shutil
import socket
import subprocess
import threading
import time
import urllib.request

from harness import Skip, equal, wait_for


class Hook:
    """Accepts every POST, unless `answer` says otherwise. `posts(path)` are the payloads, in order."""

    def __init__(self):
        self.taken = []
        self.refused = []  # (time, path, headers)
        # What a POST gets: (status, headers, body). A function of the handler.
        self.answer = lambda handler: (200, {}, b"")
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers, text = hook.answer(self)
                if status == 200:
                    hook.taken.append((time.monotonic(), self.path, self.headers, json.loads(body)))
                else:
                    hook.refused.append((time.monotonic(), self.path, self.headers))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True  # of connections that the daemon keeps
        self.server.handle_error = lambda *_: None  # it has ended with connections kept
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def posts(self, path):
        return [body for _, at, _, body in list(self.taken) if at == path]

    def alerts(self, path):
        """(status, alert) of every alert in every payload."""
        return [(alert["status"], alert) for body in self.posts(path) for alert in body["alerts"]]

    def wait(self, path, count, seconds=20):
        return wait_for(lambda: len(self.alerts(path)) >= count and self.alerts(path), f"{count} alerts at {path}",
                        seconds)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Alertmanager:
    """prometheus-alertmanager on the loopback. It can be stopped for a while; its notification log is kept on disk."""

    CONFIG = """
route: {{receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 4h}}
receivers:
  - name: hook
    webhook_configs: [{{url: '{url}', send_resolved: true}}]
"""

    def __init__(self, directory, webhook_url, web_config=None, scheme="http", headers=None, tls=None):
        """`web_config` is Alertmanager's --web.config.file; `headers` and `tls` are for the requests of this class."""
        self.program = shutil.which("prometheus-alertmanager")
        if not self.program:
            raise Skip("needs prometheus-alertmanager")
        self.directory = pathlib.Path(directory)
        self.port = free_port()
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.headers = headers or {}
        self.tls = tls
        self.flags = []
        if web_config:
            (self.directory / "web.yml").write_text(web_config)
            self.flags = [f"--web.config.file={self.directory / 'web.yml'}"]
        self.process = None
        (self.directory / "alertmanager.yml").write_text(self.CONFIG.format(url=webhook_url))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        with open(self.directory / f"log-alertmanager-{time.monotonic_ns()}", "wb") as log:
            self.process = subprocess.Popen(
                [self.program, f"--config.file={self.directory / 'alertmanager.yml'}",
                 f"--storage.path={self.directory / 'alertmanager'}", f"--web.listen-address=127.0.0.1:{self.port}",
                 "--cluster.listen-address=", *self.flags], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self.ready, "Alertmanager is ready", 20)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def get(self, path):
        request = urllib.request.Request(self.url + path, headers=self.headers)
        with urllib.request.urlopen(request, timeout=5, context=self.tls) as answer:
            return answer.read()

    def ready(self):
        with contextlib.suppress(OSError):
            return self.get("/-/ready")
        return None

    def active(self):
        return json.loads(self.get("/api/v2/alerts"))


def identity(alert):
    return alert["fingerprint"], seconds(alert["startsAt"])


def seconds(timestamp):
    """Seconds since the epoch, from RFC 3339 as Go and perjouled write it: the number of decimals varies."""
    base, _, fraction = timestamp.rstrip("Z").partition(".")
    at = datetime.datetime.strptime(base, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=datetime.timezone.utc).timestamp()
    return at + float(f"0.{fraction or 0}")


def one_incident(alerts, message):
    """Checks that there are exactly one firing and one resolved, of the same incident. Returns its identity."""
    equal([status for status, _ in alerts], ["firing", "resolved"], message)
    equal(identity(alerts[1][1]), identity(alerts[0][1]), f"{message}: fingerprint and startsAt")
    return identity(alerts[0][1])
