"""The peers of the history: Prometheus and VictoriaMetrics on the loopback, fed with the telemetry of
tests/bench/feed.hpp, and the queries that they and the daemon answer over HTTP."""
import contextlib
import http.client
import json
import pathlib
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
from typing import NamedTuple

from host import Server, free_port

SECONDS = 6 * 3600
SERIES = 1000
TICKS_PER_REQUEST = 5  # the history commits every five seconds, and Prometheus waits five before it sends
HOSTS = 12
ROUNDS = 5  # of twelve questions each


def recent_start_ms():
    """Start of six hours that end some minutes ago and begin with a two-hour block of Prometheus. Recent, because
    VictoriaMetrics keeps one month; not the present, because it leaves the newest samples out of queries."""
    return (int((time.time() - 300) // 7200) * 7200 - SECONDS) * 1000


def size_of(*directories):
    return sum(file.stat().st_size for directory in directories for file in directory.rglob("*") if file.is_file())


class Peer(Server):
    """An empty database with a directory and a port of its own."""

    def __init__(self, name, scratch, command):
        self.directory = scratch / name
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        super().__init__(name, command, self.port, scratch / f"{name}.log")
        self.url = f"http://127.0.0.1:{self.port}"

    def post(self, path):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)) as connection:
            connection.request("POST", path)
            response = connection.getresponse()
            body = response.read()
        if response.status != 200:
            raise SystemExit(f"{self.name} answers {response.status} to {path}: {body[:300].decode()}")
        return body

    def rest(self):
        """Waits until it uses less than 3 % of a CPU for three seconds: then its work after an ingestion (blocks,
        merges, checkpoints) is done."""
        quiet = 0
        until = time.monotonic() + 180
        while quiet < 3:
            if time.monotonic() > until:
                raise SystemExit(f"{self.name} does not come to rest")
            before = self.cpu_seconds()
            time.sleep(1)
            quiet = quiet + 1 if self.cpu_seconds() - before < 0.03 else 0

    def ingest(self, feeder, start_ms):
        """CPU microseconds per sample from the first request until it is idle: receiving, logging, sealing, merging.
        Receiving counts for a peer because it has no other way to get a sample; the daemon samples in its process."""
        before = self.cpu_seconds()
        command = [feeder, str(self.port), str(start_ms), str(SECONDS), str(TICKS_PER_REQUEST)]
        text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=600).stdout
        samples = int(re.search(r"^samples (\d+)$", text, re.MULTILINE)[1])
        if samples != SERIES * SECONDS:
            raise SystemExit(f"{self.name} was fed {samples} samples")
        self.rest()
        return (self.cpu_seconds() - before) * 1e6 / samples

    def close(self):
        super().close()
        shutil.rmtree(self.directory)


class Prometheus(Peer):
    def __init__(self, scratch):
        self.port = free_port()
        config = scratch / "prometheus.yml"
        config.write_text("{}\n")
        # Blocks are cut every two hours, as by default.
        super().__init__("prometheus", scratch, [
            "prometheus", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{self.port}",
            f"--storage.tsdb.path={scratch / 'prometheus'}", "--web.enable-remote-write-receiver",
            "--web.enable-admin-api", "--log.level=warn"])

    def wait(self):
        super().wait()
        while self.get("/-/ready", accepted=(200, 503))[0] != 200:
            time.sleep(0.05)

    def stored_bytes(self):
        """The bytes of the blocks' chunks and index. A snapshot writes the newest hours, in the head, to a block."""
        name = json.loads(self.post("/api/v1/admin/tsdb/snapshot?skip_head=false"))["data"]["name"]
        blocks = list((self.directory / "snapshots" / name).iterdir())
        samples = sum(json.loads((block / "meta.json").read_text())["stats"]["numSamples"] for block in blocks)
        if samples != SERIES * SECONDS:
            raise SystemExit(f"Prometheus stored {samples} samples in {len(blocks)} blocks")
        return {self.name: sum(size_of(block / "chunks") + (block / "index").stat().st_size for block in blocks)}


class VictoriaMetrics(Peer):
    def __init__(self, scratch):
        self.port = free_port()
        # Its response cache is off, as its documentation advises when old samples are written; Prometheus has none, and
        # the benchmark measures how fast samples are read.
        super().__init__("victoria_metrics", scratch, [
            "victoria-metrics", f"-httpListenAddr=127.0.0.1:{self.port}", "-search.disableCache",
            f"-storageDataPath={scratch / 'victoria_metrics'}", "-loggerLevel=WARN"])

    def total(self, metric):
        """The sum of one of the storage's own metrics over its types of parts."""
        return sum(map(int, re.findall(rf'^{metric}{{type="storage/[a-z]+"}} (\d+)$', self.text(), re.MULTILINE)))

    def _size(self):
        self.rest()
        if self.total("vm_rows") != SERIES * SECONDS:
            raise SystemExit(f"VictoriaMetrics stored {self.total('vm_rows')} samples")
        return size_of(self.directory / "data", self.directory / "indexdb")

    def stored_bytes(self):
        """The bytes of data and index, with the parts that ingestion left and merged into one part. In the first, the
        series of a host share timestamps; in the merged part their blocks begin at different times, and few do."""
        self.post("/internal/force_flush")
        fresh = self._size()
        for _ in range(5):  # a forced merge skips parts that are being merged
            self.post("/internal/force_merge")
            merged = self._size()
            if self.total("vm_parts") == 1:
                return {self.name: merged, f"{self.name}_unmerged": fresh}
        raise SystemExit(f"VictoriaMetrics has {self.total('vm_parts')} parts and does not merge them")


class Client:
    """A minimal keep-alive HTTP client. Python's own takes a third of the time of the fastest answers to read their
    headers."""

    def __init__(self, url):
        address = urllib.parse.urlsplit(url)
        self.host = f"{address.hostname}:{address.port}"
        self.socket = socket.create_connection((address.hostname, address.port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answers = self.socket.makefile("rb", 1 << 18)

    def get(self, path):
        """Returns the milliseconds until the last byte, and the body."""
        request = f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\nAccept-Encoding: identity\r\n\r\n".encode()
        begin = time.perf_counter()
        self.socket.sendall(request)
        head = b"".join(iter(self._line, b"\r\n")).decode()
        length = re.search(r"(?im)^content-length: *(\d+)", head)
        body = self.answers.read(int(length[1])) if length else b"".join(self._chunks())
        spent = (time.perf_counter() - begin) * 1000
        if not head.startswith("HTTP/1.1 200 "):
            raise SystemExit(f"{self.host} answers {head.splitlines()[0]} to {path}: {body[:300].decode()}")
        return spent, body

    def _line(self):
        line = self.answers.readline()
        if not line:
            raise SystemExit(f"{self.host} closed the connection")
        return line

    def _chunks(self):
        while size := int(self._line(), 16):
            yield self.answers.read(size)
            self._line()
        self._line()

    def close(self):
        self.answers.close()
        self.socket.close()


class Question(NamedTuple):
    figure: str
    path: str
    series: int
    points: int  # of each series

    def ask(self, client):
        """Returns the milliseconds, and the values of each series by its labels."""
        spent, body = client.get(self.path)
        answer = {tuple(sorted(series["metric"].items())): series["values"]
                  for series in json.loads(body)["data"]["result"]}
        points = {len(values) for values in answer.values()}
        if len(answer) != self.series or points != {self.points}:
            raise SystemExit(f"{client.host} answers {len(answer)} series of {sorted(points)} points to {self.path}")
        return spent, answer


def questions(start_ms, turn):
    """The queries of one turn; each takes another host or other five minutes, so that no answer comes from a cache.

    Samples are queried with a range selector in an instant query, which returns them as stored and without a limit of
    points; a range query returns resampled points, at most 11,000. The range ends half a second after a sample, so that
    it has the same number of samples whether or not the server includes its start.

    Averages per minute are queried twice: from roll-ups, which only the daemon has (max_source_resolution selects them;
    the peers ignore it), and exactly, from the samples."""
    power = "perjoule_sensor_power_watts"
    one = f'{power}{{host="{turn % HOSTS}",sensor="0"}}'
    hundred = f'{power}{{host=~"[0-9]",sensor!~"7."}}'  # GPUs and processor packages of ten hosts
    start, end = start_ms // 1000, start_ms // 1000 + SECONDS
    before = turn % HOSTS * 300 + 0.5

    def path(endpoint, **parameters):
        return f"/api/v1/{endpoint}?{urllib.parse.urlencode(parameters)}"
    raw = path("query", query=f"{one}[6h]", time=end - 0.5)
    by_minute = {"query": f"avg_over_time({one}[1m])", "start": start + 60, "end": end, "step": 60}
    minutes = path("query_range", **by_minute, max_source_resolution="1m")
    return [Question("query_6h_raw_ms", raw, 1, SECONDS),
            Question("query_6h_minute_ms", minutes, 1, SECONDS // 60),
            Question("query_6h_minute_exact_ms", path("query_range", **by_minute), 1, SECONDS // 60),
            Question("query_100x5m_ms", path("query", query=f"{hundred}[5m]", time=end - before), 100, 300)]


def require_same(question, answers):
    """Requires equal samples from all servers. (Averages may differ in the last digits.)"""
    (first, expected), *others = answers.items()
    for name, answer in others:
        for labels, values in expected.items():
            found = answer.get(labels, [])
            if [(float(t), float(v)) for t, v in found] != [(float(t), float(v)) for t, v in values]:
                raise SystemExit(f"{name} and {first} differ in {labels} of {question.path}")


def ask(urls, start_ms):
    """Milliseconds of each answer, by figure and name of the server. `urls` are base URLs by name; each server must
    have the telemetry from `start_ms` on. The servers answer in turn. The first round is not timed; its answers are
    compared sample by sample."""
    spent = {}
    with contextlib.ExitStack() as stack:
        clients = {name: stack.enter_context(contextlib.closing(Client(url))) for name, url in urls.items()}
        for turn in range(HOSTS * (ROUNDS + 1)):
            for question in questions(start_ms, turn):
                answers = {}
                for name, client in clients.items():
                    milliseconds, answers[name] = question.ask(client)
                    if turn >= HOSTS:
                        spent.setdefault(question.figure, {}).setdefault(name, []).append(milliseconds)
                if turn < HOSTS and "minute" not in question.figure:
                    require_same(question, answers)
    return spent


def measure(scratch, feeder, start_ms, others, say):
    """Returns values by figure and peer. `others`: base URLs, by name, of servers that are queried with the peers."""
    figures = {}

    def add(figure, name, value):
        figures.setdefault(figure, {})[name] = [value]
    with contextlib.ExitStack() as stack:
        peers = []
        for kind in (VictoriaMetrics, Prometheus):
            peer = kind(scratch)
            stack.callback(peer.close)
            peers.append(peer)
            peer.wait()
            say(f"{peer.name}: {SERIES * SECONDS} samples by remote write")
            begin = time.monotonic()
            add("storage_cpu_us_per_sample_1k", peer.name, peer.ingest(feeder, start_ms))
            add("storage_rss_mib_1k", peer.name, peer.memory_mib("VmRSS"))
            for name, size in peer.stored_bytes().items():
                add("storage_bytes_per_sample", name, size / SERIES / SECONDS)
            say(f"{peer.name}: {time.monotonic() - begin:.0f} s")
        say("queries over HTTP, turn by turn")
        figures |= ask({peer.name: peer.url for peer in peers} | others, start_ms)
    return figures
