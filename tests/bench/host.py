"""A simulated host for measurements: sensor files on tmpfs that change while they are read, and the scraped servers."""
import http.client
import http.server
import os
import pathlib
import random
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time


class Sensors:
    """sysfs with hwmon chips of 19 channels (16 temperatures with limits, two fans, one power), two RAPL packages and
    four thermal zones. `churn` rewrites the readings in place once a second, as hardware would."""

    def __init__(self, chips):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="perjoule-bench-", dir="/dev/shm"))
        self.readings = []  # descriptor, lowest, highest value; for energy counters lowest = None
        self.random = random.Random(20260801)
        for chip in range(chips):
            self._chip(self.root / f"class/hwmon/hwmon{chip}", chip)
        for package in range(2):
            zone = self.root / f"class/powercap/intel-rapl:{package}"
            self._zone(zone, f"package-{package}")
            self._zone(self.root / f"class/powercap/intel-rapl:{package}:0", "dram")
        for zone in range(4):
            directory = self.root / f"class/thermal/thermal_zone{zone}"
            self._write(directory / "type", f"zone{zone}")
            self._write(directory / "mode", "enabled")
            self._reading(directory / "temp", 30000, 60000)
        self.stopping = threading.Event()
        self.thread = None

    def _write(self, path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    def _reading(self, path, lowest, highest):
        self._write(path, highest if lowest is None else lowest)
        self.readings.append([os.open(path, os.O_WRONLY), lowest, highest])

    def _chip(self, directory, number):
        names = ["coretemp", "nvme", "nct6798", "jc42", "mlx5", "pmbus"]
        self._write(directory / "name", names[number % len(names)])
        for channel in range(1, 17):
            self._write(directory / f"temp{channel}_label", f"Sensor {channel}")
            self._write(directory / f"temp{channel}_max", 85000)
            self._write(directory / f"temp{channel}_crit", 95000)
            self._reading(directory / f"temp{channel}_input", 30000, 80000)
        for channel in range(1, 3):
            self._reading(directory / f"fan{channel}_input", 3000, 9000)
        self._write(directory / "power1_label", "Input")
        self._reading(directory / "power1_input", 100000000, 700000000)

    def _zone(self, directory, name):
        self._write(directory / "name", name)
        self._write(directory / "max_energy_range_uj", 262143328850)
        self._reading(directory / "energy_uj", None, 100000000000)

    def churn(self):
        def run():
            while not self.stopping.wait(1):
                for reading in self.readings:
                    descriptor, lowest, highest = reading
                    if lowest is None:
                        reading[2] = value = highest + self.random.randrange(100_000_000, 200_000_000)
                    else:
                        value = self.random.randrange(lowest, highest)
                    # The same length as before, in one call, so that a reader never sees a part of it.
                    os.pwrite(descriptor, b"%d\n" % value, 0)
        self.thread = threading.Thread(target=run)
        self.thread.start()

    def close(self):
        self.stopping.set()
        if self.thread:
            self.thread.join()
        for descriptor, _, _ in self.readings:
            os.close(descriptor)
        shutil.rmtree(self.root)


class Receiver:
    """A minimal Alertmanager: `posted` is set when a POST has arrived, `at` is its time."""

    def __init__(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                receiver.at = time.monotonic()
                receiver.posted.set()
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.at = 0.0
        self.posted = threading.Event()
        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.1})
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gpus:
    """The stand-in for NVIDIA's library: eight boards with changing load. It counts its own CPU time."""

    def __init__(self, build, scenario="h100"):
        self.library = pathlib.Path(build) / "tests/nvml/libnvidia-ml.so.1"
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="perjoule-bench-gpus-", dir="/dev/shm"))
        self.account = self.root / "account"
        scenario = pathlib.Path("tests/fixtures/nvml").absolute() / f"{scenario}.json"
        self.environment = {"PERJOULE_NVML_SCENARIO": str(scenario), "NVML_STAND_IN_ACCOUNT": str(self.account)}

    def controlled(self):
        """Enables hang(). The check for it makes each call a little slower."""
        self.environment["NVML_STAND_IN_CONTROL"] = str(self.root)
        return self

    def hang(self, board):
        (self.root / f"hang-{board}").touch()

    def release(self, board):
        (self.root / f"hang-{board}").unlink()

    def spent(self):
        """CPU seconds and calls in the library since it was loaded."""
        nanoseconds, calls = struct.unpack("=qq", self.account.read_bytes())
        return nanoseconds / 1e9, calls

    def close(self):
        shutil.rmtree(self.root)


class Server:
    """A process that answers /metrics on the loopback."""

    def __init__(self, name, command, port, log, environment=None):
        self.name = name
        self.port = port
        self.log = open(log, "ab")
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=self.log, stderr=self.log,
                                        env=os.environ | (environment or {}))
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def wait(self):
        """Milliseconds from the start to the first answer."""
        while time.monotonic() < self.started + 30:
            try:
                self.get("/metrics")
                return (time.monotonic() - self.started) * 1000
            except OSError:
                self.connection.close()
                if self.process.poll() is not None:
                    raise SystemExit(f"{self.name} ended: see {self.log.name}") from None
                time.sleep(0.0005)
        raise SystemExit(f"{self.name} did not answer: see {self.log.name}")

    def get(self, path, encoding="identity", accepted=(200,)):
        headers = {"Accept-Encoding": encoding}
        self.connection.request("GET", path, headers=headers)
        try:
            response = self.connection.getresponse()
        except http.client.RemoteDisconnected:  # the server has closed an idle connection
            self.connection.close()
            self.connection.request("GET", path, headers=headers)
            response = self.connection.getresponse()
        body = response.read()
        if response.status not in accepted:
            raise SystemExit(f"{self.name} answers {response.status} to {path}")
        if path == "/metrics" and (response.getheader("Content-Encoding") or "identity") != encoding:
            raise SystemExit(f"{self.name} did not answer in {encoding}")
        return response.status, body

    def text(self):
        return self.get("/metrics")[1].decode()

    def series(self):
        return sum(1 for line in self.text().splitlines() if line and not line.startswith("#"))

    def cpu_seconds(self):
        """CPU time of the whole process, including ended threads: its CPU clock of clock_gettime(2)."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def memory_mib(self, field):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)[1]) / 1024

    def close(self):
        self.connection.close()
        self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
