"""Shared by the end-to-end tests and the soak tests: start perjouled, scrape it, read its log, end it.

Everything listens on the loopback interface, on a port that the kernel chooses. Waits poll with a deadline. Every
process is ended when its `with` block is left, also after a failure.
"""
import gzip
import http.client
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

NOBODY = 65534
SKIPPED = 77  # ctest's SKIP_RETURN_CODE
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")


class Skip(Exception):
    """This host cannot run the test; the message says what it lacks."""


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def equal(actual, expected, message):
    check(actual == expected, f"{message}: {actual!r}, expected {expected!r}")


def wait_for(condition, what, seconds=10.0, every=0.02):
    """Polls until `condition()` is true, and returns what it returned."""
    until = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        check(time.monotonic() < until, f"not within {seconds} s: {what}")
        time.sleep(every)


def for_seconds(seconds, every=0.02):
    """Yields the time that has passed, until it is `seconds`."""
    begin = time.monotonic()
    while (passed := time.monotonic() - begin) < seconds:
        yield passed
        time.sleep(every)


class Scrape:
    """An exposition: `scrape["name"]` is a list of (labels, value)."""

    def __init__(self, text):
        self.text = text
        self.families = {}
        self.series = []
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            match = LINE.match(line)
            check(match, f"not a sample: {line!r}")
            name, labels, value = match.groups()
            self.families.setdefault(name, []).append((dict(LABEL.findall(labels or "")), float(value)))
            self.series.append(line[: line.rindex(" ")])

    def __getitem__(self, name):
        return self.families.get(name, [])

    def find(self, name, **labels):
        """The value of the one series with these labels, or None."""
        found = [value for have, value in self[name] if labels.items() <= have.items()]
        check(len(found) < 2, f"{name}{labels}: {len(found)} series")
        return found[0] if found else None

    def value(self, name, **labels):
        found = self.find(name, **labels)
        check(found is not None, f"{name}{labels}: no such series")
        return found

    def state(self, source, device=""):
        """The source's state, or None when it is not shown."""
        shown = [(labels["state"], value) for labels, value in self["perjoule_source_state"]
                 if labels["source"] == source and labels["device"] == device]
        if not shown:
            return None
        states = [state for state, value in shown if value == 1]
        equal((len(shown), len(states)), (5, 1), f"states of {source} {device}: not one-hot")
        return states[0]


def clean_environment(extra=None):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PERJOULE_")}
    return environment | (extra or {})


def as_nobody():
    """The prefix of a command that runs it without root's rights."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        raise Skip("needs setpriv to give up root's rights")
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all"]


def said(ended):
    """What a command wrote to stderr below its first line, which says that no configuration file was read."""
    first, _, rest = ended.stderr.partition("\n")
    check(re.fullmatch(r"configuration: no file \(\d+ keys? changed\)", first), ended.stderr)
    return rest


def with_etc(directory):
    """The prefix of a command for which /etc is directory/etc, in its own mount namespace; makes that directory."""
    etc = pathlib.Path(directory) / "etc"
    etc.mkdir(exist_ok=True)
    for name in ("ld.so.cache", "passwd", "group"):
        shutil.copy(f"/etc/{name}", etc)
    own_user = [] if os.geteuid() == 0 else ["--map-root-user"]
    words = ["unshare", "--mount", *own_user, "sh", "-c", 'mount --bind "$0" /etc && exec "$@"', str(etc)]
    if not shutil.which("unshare") or run([*words, "true"]).returncode != 0:
        raise Skip("needs the right to make a mount namespace")
    return words


def without_installed_file(words):
    """perjouled with no configuration file unless `words` name one, so that no test depends on /etc/perjoule."""
    words = [str(word) for word in words]
    names = [pathlib.Path(word).name for word in words]
    named = any(word.startswith("--config.file") for word in words)
    return words if named or "perjouled" not in names else [*words, "--config.file="]


def run(command, seconds=20, environment=None, installed_file=False, **options):
    words = [str(word) for word in command]
    return subprocess.run(words if installed_file else without_installed_file(words), capture_output=True, text=True,
                          timeout=seconds, env=clean_environment(environment), stdin=subprocess.DEVNULL, check=False,
                          **options)


class Daemon:
    """perjouled in the foreground; `flags` override the defaults below."""

    def __init__(self, binary, directory, *flags, words=(), environment=None, listen="127.0.0.1:0", wait=True,
                 installed_file=False, **options):
        """`words` are a prefix of the command, such as setpriv; `options` go to Popen. A caller with a `stderr` of
        its own writes to log_path what is read from it."""
        self.log_path = pathlib.Path(directory) / f"log-{time.monotonic_ns()}"
        given = [f"--web.listen-address={listen}", *map(str, flags)]
        if not any(flag.startswith(("--storage.path", "--no-storage")) for flag in given):
            given.append(f"--storage.path={pathlib.Path(directory) / 'store'}")
        command = [*map(str, words), str(binary), *given]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command if installed_file else without_installed_file(command),
                                            **{"stderr": log, "stdout": log} | options, stdin=subprocess.DEVNULL,
                                            env=clean_environment(environment))
        self.port = None
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def lines(self, *parts):
        """The lines of the log that contain every part."""
        return [line for line in self.log().splitlines() if all(part in line for part in parts)]

    def wait_lines(self, *parts, seconds=2.0):
        """The same, as soon as there is one: a thread of its own writes the log. [] if there is none by then."""
        for _ in for_seconds(seconds):
            if found := self.lines(*parts):
                return found
        return self.lines(*parts)

    def wait_listening(self, seconds=10):
        def listening():
            found = re.search(r"url=http://127\.0\.0\.1:(\d+)", self.log())
            check(found or self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log()}")
            return found

        self.port = int(wait_for(listening, "the daemon listens", seconds).group(1))

    def wait_ready(self, seconds=20):
        self.wait_listening(seconds)
        wait_for(lambda: self.get("/-/ready")[0] == 200, "the daemon is ready", seconds)

    def get(self, path, headers=None, method="GET", seconds=5):
        """Status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def scrape(self, query="", accept="text/plain", compressed=False):
        headers = {"Accept": accept} | ({"Accept-Encoding": "gzip"} if compressed else {})
        status, got, body = self.get("/metrics" + query, headers)
        equal(status, 200, "GET /metrics")
        if compressed:
            equal(got["Content-Encoding"], "gzip", "Content-Encoding")
            body = gzip.decompress(body)
        return Scrape(body.decode())

    def scrape_until(self, condition, what, seconds=10.0, every=0.02):
        def look():
            scrape = self.scrape()
            return scrape if condition(scrape) else None

        return wait_for(look, what, seconds, every)

    def wait_exit(self, seconds=10):
        return self.process.wait(seconds)

    def stop(self, number=signal.SIGTERM, within=2.0):
        """Ends it as systemd does. Returns the seconds it took."""
        begin = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(20)
        took = time.monotonic() - begin
        equal(code, 0, f"exit code after {signal.Signals(number).name}:\n{self.log()}")
        check(took < within, f"it took {took:.2f} s to end, {within} s are allowed")
        return took

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Tree:
    """Fixture roots: `flags` pass them to the daemon. Files are regular, except those of fifo(), whose reads hang."""

    def __init__(self, directory):
        self.sysfs = pathlib.Path(directory) / "sys"
        self.sysfs.mkdir(parents=True)

    @property
    def flags(self):
        return [f"--path.sysfs={self.sysfs}"]

    def put(self, name, text):
        path = self.sysfs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
        return path

    def fifo(self, name):
        """A process that opens it for reading blocks until release()."""
        path = self.sysfs / name
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        return path

    def release(self, path, text):
        """The blocked reader gets `text`, and later readers find it in a regular file."""
        aside = path.with_name(path.name + ".aside")
        path.rename(aside)
        path.write_text(f"{text}\n")
        writer = os.open(aside, os.O_WRONLY | os.O_NONBLOCK)
        os.write(writer, f"{text}\n".encode())
        os.close(writer)
        aside.unlink()

    def zone(self, number, kind, millidegrees):
        self.put(f"class/thermal/thermal_zone{number}/type", kind)
        return self.put(f"class/thermal/thermal_zone{number}/temp", millidegrees)

    def package(self, number, microjoules, wrap=262143328850, watts=300):
        zone = f"class/powercap/intel-rapl:{number}"
        self.put(f"{zone}/name", f"package-{number}")
        self.put(f"{zone}/max_energy_range_uj", wrap)
        self.put(f"{zone}/constraint_0_max_power_uw", watts * 1000000)
        return self.put(f"{zone}/energy_uj", microjoules)

    def chip(self, number, name, files):
        for file, value in files.items():
            self.put(f"class/hwmon/hwmon{number}/{file}", value)
        self.put(f"class/hwmon/hwmon{number}/name", name)


def main(tests):
    """Runs each test with the binary and its own directory. Returns 1 if one failed, 77 if all were skipped."""
    if len(sys.argv) < 2:
        print(f"usage: {sys.argv[0]} PERJOULED [TEST...]", file=sys.stderr)
        return 2
    binary = pathlib.Path(sys.argv[1]).resolve()
    chosen = sys.argv[2:]
    failed = skipped = ran = 0
    for test in tests:
        if chosen and test.__name__ not in chosen:
            continue
        directory = pathlib.Path(tempfile.mkdtemp(prefix="perjoule-"))
        directory.chmod(0o755)
        begin = time.monotonic()
        ran += 1
        try:
            test(binary, directory)
            verdict = "ok"
        except Skip as reason:
            skipped += 1
            verdict = f"skipped: {reason}"
        except Exception:
            failed += 1
            verdict = "FAILED"
            traceback.print_exc(file=sys.stdout)
            for log in sorted(directory.rglob("log-*")):
                print("".join(f"    {line}\n" for line in log.read_text(errors="replace").splitlines()[-40:]), end="")
        print(f"{test.__name__}: {verdict} ({time.monotonic() - begin:.1f} s)", flush=True)
        shutil.rmtree(directory, ignore_errors=True)
    if failed or not ran:
        return 1
    return SKIPPED if skipped == ran else 0
