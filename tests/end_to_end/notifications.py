#!/usr/bin/env python3
"""A sensor crosses a threshold: a webhook and a real Alertmanager are notified once of the incident and of its end."""
import contextlib
import json
import socket
import sys
import time

from harness import Daemon, Tree, check, equal, for_seconds, main, run, wait_for
from receivers import Alertmanager, Hook, identity, one_incident

RULE = {"alert": "SensorHot", "value": {"metric": "perjoule_temperature_celsius", "match": {"sensor": "Tctl"}},
        "levels": [{"severity": "warning", "raise_above": 80, "clear_below": 70},
                   {"severity": "critical", "raise_above": 90, "clear_below": 85}],
        "summary": "Sensor {sensor} is at {value} degrees.", "runbook": "sensor-hot"}
DIRECT, VIA_ALERTMANAGER = "/direct", "/alertmanager"


class Host:
    """A tree with one sensor, and the flags of a daemon that reads it ten times a second."""

    def __init__(self, directory, hook=None, manager=None):
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.tree = Tree(directory)
        self.tree.chip(0, "k10temp", {"temp1_input": 52000, "temp1_label": "Tctl"})
        config = {"collectors": {"hwmon": {"period": "100ms"}},
                  "alerts": {"default_rules": False, "rules": [RULE],
                             "runbook_url": "https://runbooks.example/{runbook}.md",
                             "webhooks": [hook.url + DIRECT] if hook else [],
                             "alertmanagers": [manager.url] if manager else []}}
        self.config = directory / "perjoule.json"
        self.config.write_text(json.dumps(config))

    def daemon(self, binary, **options):
        return Daemon(binary, self.directory, f"--config.file={self.config}", *self.tree.flags, **options)

    def heat(self, degrees):
        self.tree.put("class/hwmon/hwmon0/temp1_input", degrees * 1000)


def pending(daemon, kind):
    return daemon.scrape().value("perjoule_alert_notifications_pending", kind=kind)


def over_a_restart_and_an_outage(binary, directory):
    with Hook() as hook, Alertmanager(directory, hook.url + VIA_ALERTMANAGER) as manager:
        manager.start()
        host = Host(directory / "host", hook, manager)
        with host.daemon(binary) as daemon:
            for _ in for_seconds(0.5):
                equal(hook.taken, [], "notifications while no alert fires")
            host.heat(85)
            hook.wait(DIRECT, 1)
            hook.wait(VIA_ALERTMANAGER, 1)
            manager.stop()
            daemon.stop()
        with host.daemon(binary) as daemon:
            for _ in for_seconds(1.5):
                equal(len(hook.posts(DIRECT)), 1, "a restart does not notify a webhook again")
            host.heat(60)
            hook.wait(DIRECT, 2)
            scrape = daemon.scrape_until(
                lambda seen: seen.value("perjoule_alert_notifications_pending", kind="alertmanager") == 1,
                "the Alertmanager is known to lag behind")
            check(scrape.value("perjoule_alert_notification_failures_total", kind="alertmanager") >= 1, "failures")
            equal(len(daemon.wait_lines("cannot deliver alerts to a receiver")), 1, "lines about the outage")
            manager.start()
            hook.wait(VIA_ALERTMANAGER, 2, 40)
            wait_for(lambda: pending(daemon, "alertmanager") == 0, "nothing is pending")
            equal(len(daemon.wait_lines("alerts are delivered to a receiver again")), 1, "lines about its end")
            time.sleep(2)  # a duplicate would come within this time
            equal(one_incident(hook.alerts(DIRECT), "at the webhook"),
                  one_incident(hook.alerts(VIA_ALERTMANAGER), "through the Alertmanager"), "the same incident")
            daemon.stop()
        alert = hook.alerts(DIRECT)[0][1]
        equal(alert["annotations"], {"summary": "Sensor Tctl is at 85 degrees.",
                                     "runbook_url": "https://runbooks.example/sensor-hot.md"}, "annotations")
        equal((alert["labels"]["source"], alert["labels"]["severity"], alert["labels"]["sensor"]),
              ("perjouled", "warning", "Tctl"), "labels")
        for direct, through in zip(hook.posts(DIRECT), hook.posts(VIA_ALERTMANAGER)):
            equal(sorted(direct), sorted(through), "members of the payload")
            equal(sorted(direct["alerts"][0]), sorted(through["alerts"][0]), "members of an alert")
            for member in ("version", "groupKey", "groupLabels", "commonLabels", "commonAnnotations", "status"):
                equal(direct[member], through[member], member)


def killed_after_it_was_told(binary, directory):
    with Hook() as hook:
        host = Host(directory / "host", hook)
        with host.daemon(binary) as daemon:
            host.heat(85)
            hook.wait(DIRECT, 1)
            time.sleep(2.5)  # the ledger commits each second
            daemon.kill()
        with host.daemon(binary) as daemon:
            for _ in for_seconds(1.5):
                equal(len(hook.posts(DIRECT)), 1, "after kill -9 a webhook is not notified twice")
            host.heat(60)
            hook.wait(DIRECT, 2)
            daemon.stop()
        one_incident(hook.alerts(DIRECT), "over a kill -9")


def levels_apart_and_told_late(binary, directory):
    """Both levels of a rule while the Alertmanager is not there yet."""
    with Hook() as hook, Alertmanager(directory, hook.url + VIA_ALERTMANAGER) as manager:
        host = Host(directory / "host", hook, manager)
        with host.daemon(binary) as daemon:
            host.heat(95)
            hook.wait(DIRECT, 2)
            for body in hook.posts(DIRECT):
                equal(len(body["alerts"]), 1, "alerts of a POST")
            manager.start()
            hook.wait(VIA_ALERTMANAGER, 2, 40)
            for path in (DIRECT, VIA_ALERTMANAGER):
                equal(sorted(alert["labels"]["severity"] for _, alert in hook.alerts(path)), ["critical", "warning"],
                      f"severities at {path}")
            equal({identity(alert) for _, alert in hook.alerts(DIRECT)},
                  {identity(alert) for _, alert in hook.alerts(VIA_ALERTMANAGER)}, "incidents")
            host.heat(75)  # critical clears, warning holds
            hook.wait(DIRECT, 3)
            hook.wait(VIA_ALERTMANAGER, 3)
            equal([alert["labels"]["severity"] for alert in manager.active()], ["warning"], "what is left")
            daemon.stop()


def three_hosts_alike(binary, directory):
    with Hook() as hook, Alertmanager(directory, hook.url + VIA_ALERTMANAGER) as manager, \
            contextlib.ExitStack() as stack:
        manager.start()
        hosts = [Host(directory / name, hook, manager) for name in ("a", "b", "c")]
        daemons = [stack.enter_context(host.daemon(binary)) for host in hosts]
        for host in hosts:
            host.heat(85)
        wait_for(lambda: len(manager.active()) == 3, "three alerts")
        equal(len({alert["labels"]["instance"] for alert in manager.active()}), 3, "instances")
        hosts[1].heat(60)
        wait_for(lambda: len(manager.active()) == 2, "one has ended")
        hook.wait(VIA_ALERTMANAGER, 4)
        hook.wait(DIRECT, 4)
        time.sleep(1.5)
        for path in (DIRECT, VIA_ALERTMANAGER):
            resolved = [alert["labels"]["instance"] for status, alert in hook.alerts(path) if status == "resolved"]
            equal((len(hook.alerts(path)), len(resolved)), (4, 1), f"alerts at {path}")
            check(resolved[0].endswith(f":{daemons[1].port}"), f"the wrong one has ended: {resolved}")
        equal(len(manager.active()), 2, "the others go on")
        for daemon in daemons:
            daemon.stop()


def nobody_answers_at_the_end(binary, directory):
    """A POST in flight does not delay the end of the daemon, and is sent again after the next start."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        host = Host(directory / "host")
        text = json.loads(host.config.read_text())
        text["alerts"]["webhooks"] = [f"http://127.0.0.1:{silent.getsockname()[1]}/direct"]
        host.config.write_text(json.dumps(text))
        with host.daemon(binary) as daemon:
            host.heat(85)
            silent.settimeout(10)
            connection, _ = silent.accept()
            with connection:
                daemon.stop(within=2.0)
    with Hook() as hook:
        text["alerts"]["webhooks"] = [hook.url + DIRECT]
        host.config.write_text(json.dumps(text))
        with host.daemon(binary) as daemon:
            hook.wait(DIRECT, 1)
            daemon.stop()


def active(daemon):
    return daemon.scrape().find("perjoule_maintenance_active")


def maintenance(binary, directory):
    """While one is on, alerts are shown and not sent, also over a restart; it is ended, ends by itself, is refused."""
    with Hook() as hook:
        host = Host(directory / "host", hook)
        store = directory / "host/store"
        storage = f"--storage.path={store}"

        def command(*words):
            return run([binary, "maintenance", *words, storage])

        with host.daemon(binary) as daemon:
            shown = command()
            equal((shown.returncode, shown.stdout), (0, "No maintenance is on: alerts are sent.\n"), "before")
            begun = command("on", "--for", "1h", "--reason", "new fans")
            equal(begun.returncode, 0, begun.stderr)
            check("not sent, until" in begun.stdout and begun.stdout.endswith("Z: new fans\n"), begun.stdout)
            wait_for(lambda: active(daemon) == 1, "the daemon sees it")
            check(daemon.wait_lines("maintenance:", 'reason="new fans"'), "the log says it")
            wait_for(lambda: b"Maintenance until" in daemon.get("/")[2], "the page shows it")
            host.heat(85)
            alerts = wait_for(lambda: json.loads(daemon.get("/api/v1/alerts")[2])["data"]["alerts"], "it is shown")
            equal(alerts[0]["state"], "firing", "the alert")
            daemon.stop()
        with host.daemon(binary) as daemon:
            for _ in for_seconds(1.5):
                equal((active(daemon), hook.taken), (1, []), "after a restart")
            check("new fans" in command().stdout, "the state")
            equal(command("off").stdout, "The maintenance is over: alerts are sent again.\n", "off")
            equal([status for status, _ in hook.wait(DIRECT, 1)], ["firing"], "what still fires is sent")
            equal(command("off").stdout, "No maintenance was on.\n", "off again")
            # What a prolog writes: it ends by itself.
            (store / "maintenance.json.new").write_text(json.dumps({"until": time.time() + 6, "reason": "job 7"}))
            (store / "maintenance.json.new").rename(store / "maintenance.json")
            wait_for(lambda: active(daemon) == 1, "the prolog's file is seen")
            host.heat(60)
            for _ in for_seconds(1):
                equal(len(hook.taken), 1, "the end of the alert is not sent either")
            equal([status for status, _ in hook.wait(DIRECT, 2)], ["firing", "resolved"], "sent afterwards")
            equal(active(daemon), 0, "it has ended")
            (store / "maintenance.json").write_text("until tomorrow")
            wait_for(lambda: daemon.lines("the file of a maintenance is refused"), "a wrong file is refused")
            check("is refused, and alerts are sent" in command().stderr, "the command says it too")
            host.heat(85)
            hook.wait(DIRECT, 3)
            daemon.stop()
        for words, said in ((["on", "--for=31d"], "expected 1s to 30d"), (["on", "--for=soon"], "is not a duration"),
                            (["off", "--for=1h"], "need `maintenance on`"), (["up"], "is not one of on, off")):
            refused = command(*words)
            equal((refused.returncode, said in refused.stderr), (2, True), refused.stderr)
        nowhere = run([binary, "maintenance", "on", f"--storage.path={directory / 'nowhere'}"])
        equal((nowhere.returncode, "--storage.path" in nowhere.stderr), (1, True), nowhere.stderr)


if __name__ == "__main__":
    sys.exit(main([over_a_restart_and_an_outage, killed_after_it_was_told, levels_apart_and_told_late,
                   three_hosts_alike, nobody_answers_at_the_end, maintenance]))
