#!/usr/bin/env python3
"""Receivers behind basic auth, a client certificate and a proxy; a resolver that hangs; secrets that nothing shows."""
import base64
import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import sys
import time

from harness import Skip, check, equal, main, run, wait_for
from notifications import DIRECT, VIA_ALERTMANAGER, Host
from receivers import Alertmanager, Hook, free_port

PASSWORD = "open sesame"
# bcrypt of PASSWORD
HASHED = "$2b$04$40J0yDQ9drSCg.lDKFK2SeLXI6RLyiY1WTifSBOOhzITyz6wZ/vji"
BASIC = {"Authorization": "Basic " + base64.b64encode(f"u:{PASSWORD}".encode()).decode()}


def host_with(directory, flags=(), **alerts):
    """A host whose daemon has these receivers. `heat` raises and clears the alert."""
    host = Host(directory)
    config = json.loads(host.config.read_text())
    config["alerts"] |= alerts
    config |= dict(flags)
    host.config.write_text(json.dumps(config))
    return host


def certificate(directory, name, subject, *options):
    """A key and a certificate, signed by itself. Returns the paths of both."""
    key, pem = directory / f"{name}.key", directory / f"{name}.pem"
    made = run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days", "2", "-subj", f"/CN={subject}", "-keyout", key, "-out", pem, *options])
    equal(made.returncode, 0, made.stderr)
    return key, pem


class SecureAlertmanager(Alertmanager):
    """Serves https only, and only to clients with the certificate `client`."""

    def __init__(self, directory, webhook_url):
        key, self.authority = certificate(directory, "server", "am", "-addext", "subjectAltName=IP:127.0.0.1")
        self.client_key, self.client = certificate(directory, "client", "perjoule")
        tls = ssl.create_default_context(cafile=self.authority)
        tls.load_cert_chain(self.client, self.client_key)
        web = (f"tls_server_config: {{cert_file: {self.authority}, key_file: {key}, "
               f"client_auth_type: RequireAndVerifyClientCert, client_ca_file: {self.client}}}\n")
        super().__init__(directory, webhook_url, web, "https", tls=tls)

    def receiver(self, **more):
        return {"url": self.url, "tls": {"ca_file": str(self.authority), "cert_file": str(self.client),
                                         "key_file": str(self.client_key)}} | more


class Tinyproxy:
    """tinyproxy, which permits CONNECT to `port`."""

    def __init__(self, directory, port):
        self.program = shutil.which("tinyproxy")
        if not self.program:
            raise Skip("needs tinyproxy (Debian: tinyproxy-bin)")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = directory / "tinyproxy.log"
        self.config = directory / "tinyproxy.conf"
        self.config.write_text(f'Port {self.port}\nListen 127.0.0.1\nAllow 127.0.0.1\nConnectPort {port}\nTimeout 600\n'
                               f'LogFile "{self.log}"\nLogLevel Connect\n')

    def __enter__(self):
        self.process = subprocess.Popen([self.program, "-d", "-c", self.config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def listens():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return True
            return False

        wait_for(listens, "tinyproxy listens")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)

    def requests(self, method):
        text = self.log.read_text() if self.log.exists() else ""
        return [line for line in text.splitlines() if "Request (file descriptor" in line and f": {method} " in line]


def delivered(hook, host, daemon):
    """An incident and its end arrive through the Alertmanager."""
    host.heat(85)
    hook.wait(VIA_ALERTMANAGER, 1, 40)
    host.heat(60)
    hook.wait(VIA_ALERTMANAGER, 2, 40)
    wait_for(lambda: daemon.scrape().value("perjoule_alert_notifications_pending", kind="alertmanager") == 0,
             "nothing is pending")


def behind_basic_auth(binary, directory):
    """First with a wrong password, then with the right one in the same file."""
    with Hook() as hook, Alertmanager(directory, hook.url + VIA_ALERTMANAGER, f"basic_auth_users: {{u: {HASHED}}}\n",
                                      headers=BASIC) as manager:
        manager.start()
        password = directory / "password"
        password.write_text("planted-wrong\n")
        host = host_with(directory / "host", alertmanagers=[
            {"url": manager.url, "basic_auth": {"username": "u", "password_file": str(password)}}])
        with host.daemon(binary) as daemon:
            host.heat(85)
            wait_for(lambda: daemon.lines("cannot deliver alerts", "HTTP status 401", "check basic_auth"), "401")
            password.write_text(PASSWORD + "\n")
            delivered(hook, host, daemon)
            equal(len(daemon.wait_lines("cannot deliver alerts to a receiver")), 1, "lines about one cause")
            daemon.stop()
            for secret in ("planted-wrong", PASSWORD):
                check(secret not in daemon.log(), "a password in the log")


def behind_a_client_certificate(binary, directory):
    with Hook() as hook, SecureAlertmanager(directory, hook.url + VIA_ALERTMANAGER) as manager:
        manager.start()
        without = {"url": manager.url, "name": "without", "tls": {"ca_file": str(manager.authority)}}
        unknown = {"url": manager.url, "name": "unknown"}
        lost = {"url": manager.url, "name": "lost", "tls": {"ca_file": str(directory / "none.pem")}}
        host = host_with(directory / "host", alertmanagers=[manager.receiver(name="good"), without, unknown, lost])
        with host.daemon(binary) as daemon:
            wait_for(lambda: daemon.lines("a file of a receiver cannot be used", "alertmanager=lost", "none.pem"),
                     "a missing file is logged at the start")
            host.heat(85)
            hook.wait(VIA_ALERTMANAGER, 1, 40)
            for name, cause in (("without", "tls.cert_file"), ("unknown", "self-signed certificate"),
                                ("lost", "none.pem: No such file")):
                wait_for(lambda name=name, cause=cause: daemon.lines(f"alertmanager={name}", "cannot deliver", cause),
                         f"the cause of {name}")
            # The connection is kept: the next states go over the one that is there.
            host.heat(60)
            hook.wait(VIA_ALERTMANAGER, 2, 40)
            scrape = daemon.scrape()
            equal(scrape.value("perjoule_alert_notifications_pending", receiver="good"), 0, "pending")
            check(scrape.value("perjoule_http_client_connections_total", event="reused") >= 1, "connections are kept")
            daemon.stop()


def behind_a_proxy(binary, directory):
    """http in absolute form and https through CONNECT; the proxy of the environment is not used."""
    with Hook() as hook, SecureAlertmanager(directory, hook.url + VIA_ALERTMANAGER) as manager, \
            Tinyproxy(directory, manager.port) as proxy:
        manager.start()
        host = host_with(directory / "host", alertmanagers=[manager.receiver(proxy=proxy.url)],
                         webhooks=[{"url": hook.url + DIRECT, "proxy": proxy.url}, hook.url + "/around"])
        environment = {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1",
                       "HTTP_PROXY": "http://127.0.0.1:1"}
        with host.daemon(binary, environment=environment) as daemon:
            delivered(hook, host, daemon)
            hook.wait(DIRECT, 2)
            hook.wait("/around", 2)
            daemon.stop()
        equal(len(proxy.requests("POST")), 2, f"POSTs through the proxy:\n{proxy.log.read_text()}")
        equal(len(proxy.requests("CONNECT")), 1, "one tunnel, which is kept")
        check(any(f"POST {hook.url}{DIRECT} " in line for line in proxy.requests("POST")), "in absolute form")
        vias = [bool(headers["Via"]) for _, path, headers, _ in hook.taken if path == DIRECT]
        equal(vias, [True, True], "the webhook's requests came through the proxy")


def a_resolver_that_hangs(binary, directory):
    """It delays neither other receivers nor the loop nor the stop."""
    library = binary.parent / "tests/libslow_resolver.so"
    if not library.exists():
        raise Skip(f"needs {library.name}")
    with Hook() as hook:
        by_name = hook.url.replace("127.0.0.1", "localhost")
        hanging = [f"http://host{number}.hangs/" for number in range(4)]
        host = host_with(directory / "host", webhooks=[*hanging, hook.url + DIRECT, by_name + "/by-name"])
        with host.daemon(binary, environment={"LD_PRELOAD": str(library)}) as daemon:
            begin = time.monotonic()
            host.heat(85)
            hook.wait(DIRECT, 1, 5)
            hook.wait("/by-name", 1, 5)
            check(time.monotonic() - begin < 4, "a hanging lookup delays other receivers")
            wait_for(lambda: len(daemon.lines("cannot deliver", "looking up", "no answer in time")) == 4, "named", 20)
            host.heat(60)
            hook.wait(DIRECT, 2, 5)
            daemon.stop(within=2.0)


def retry_after_and_two_of_one_host(binary, directory):
    """A busy receiver is left alone as long as it asks; each of two receivers on one host has its own series."""
    with Hook() as hook:
        busy = {"/busy"}

        def answer(handler):
            if handler.path in busy:
                return 503, {"Retry-After": "3"}, b"overloaded"
            return 200, {}, b""

        hook.answer = answer
        host = host_with(directory / "host", flags={"web": {"external_url": "https://node7.example/perjoule/"}},
                         webhooks=[hook.url + "/busy", hook.url + DIRECT + "?key=planted-query"])
        with host.daemon(binary) as daemon:
            host.heat(85)
            hook.wait(DIRECT + "?key=planted-query", 1)
            wait_for(lambda: hook.refused, "the busy one was asked")
            name = hook.url.removeprefix("http://")
            scrape = daemon.scrape_until(
                lambda seen: seen.find("perjoule_alert_notification_failures_total", receiver=name) == 1,
                "its own failures")
            equal(scrape.value("perjoule_alert_notification_failures_total", receiver=name + "#2"), 0, "the other's")
            check(daemon.wait_lines("cannot deliver", f"webhook={name} ", "HTTP status 503: overloaded", "3 s"), name)
            busy.clear()
            hook.wait("/busy", 1, 10)
            at = [when for when, path, *_ in hook.taken if path == "/busy"][0]
            waited = at - hook.refused[0][0]
            check(2.9 <= waited <= 5, f"asked again after {waited:.1f} s")
            equal(len(hook.refused), 1, "POSTs to a receiver that asked to wait")
            payload = hook.posts("/busy")[0]
            equal(payload["externalURL"], "https://node7.example/perjoule", "externalURL")
            equal(payload["alerts"][0]["generatorURL"], "https://node7.example/perjoule", "generatorURL")
            daemon.stop()


def no_secret_is_shown(binary, directory):
    """Everything that could be secret has "planted" in it, and the server repeats what it was sent."""
    files = {name: directory / name for name in ("password", "token")}
    for name, path in files.items():
        path.write_text(f"planted-{name}\n")
    with Hook() as hook:
        def answer(handler):
            return 418, {}, str(handler.headers).encode() + handler.path.encode()

        hook.answer = answer
        webhooks = [
            {"url": hook.url + "/a?key=planted-query", "name": "a", "headers": {"X-Key": "planted-header"},
             "basic_auth": {"username": "u", "password_file": str(files["password"])}},
            {"url": hook.url + "/b/planted-path-0123456789", "name": "b", "headers": {"X-Key": "planted-header"},
             "authorization": {"credentials_file": str(files["token"])}},
            hook.url + "/c?planted-query"]
        host = host_with(directory / "host", webhooks=webhooks, flags={"web": {"enable_lifecycle": True}})
        shown = [run([binary, "print-config", f"--config.file={host.config}"])]
        with host.daemon(binary) as daemon:
            host.heat(85)
            wait_for(lambda: len(hook.refused) >= 6, "each was asked twice")
            equal(len(daemon.wait_lines("cannot deliver alerts", "HTTP status 418")), 3, "lines")
            for path in ("/", "/metrics", "/api/v1/alerts", "/api/v1/rules", "/api/v1/metadata",
                         "/api/v1/label/receiver/values"):
                shown.append(daemon.get(path)[2].decode())
            good = host.config.read_text()
            for broken in (good.replace('"name": "a"', '"nam": "a"'), good.replace('"X-Key"', '"X Key"'),
                           good.replace("http://127", "http://planted:planted@127"), good[:-3],
                           good.replace('"basic_auth": {', '"basic_auth": {"password": "planted", ')):
                check(broken != good, "a change")
                host.config.write_text(broken)
                shown.append(run([binary, "check-config", host.config]))
                equal(shown[-1].returncode, 78, f"exit code of check-config: {shown[-1].stderr}")
                shown.append(daemon.get("/-/reload", method="POST")[2].decode())
            daemon.stop()
            shown.append(daemon.log())
    sent = [headers["X-Key"] for _, path, headers in hook.refused if path[1] in "ab"]
    equal(set(sent), {"planted-header"}, "secrets are sent")
    for text in shown:
        text = text if isinstance(text, str) else text.stdout + text.stderr
        for line in text.splitlines():
            check("planted" not in line or "/b/planted-path" in line, f"a secret: {line}")
        check("cGxhbnRlZ" not in text and "dTpwbGFudGVk" not in text, "a secret in base64")
    check("***" in shown[0].stdout, f"masked, not left out: {shown[0].stdout}")


if __name__ == "__main__":
    sys.exit(main([behind_basic_auth, behind_a_client_certificate, behind_a_proxy, a_resolver_that_hangs,
                   retry_after_and_two_of_one_host, no_secret_is_shown]))
