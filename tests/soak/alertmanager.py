#!/usr/bin/env python3
# needs: a build in build/dev, Debian's prometheus-alertmanager; 12 minutes
"""A real Alertmanager is down for ten minutes, and the daemon is restarted in the middle of the outage.

Four sensors produce four incidents: one ends during the outage, one begins, one begins and ends, and one lasts through
it. The Alertmanager's receiver and a webhook of the daemon must each receive every incident once firing and once
resolved, with the same fingerprint and start. Only the Alertmanager misses the incident within the outage.
"""
import argparse
import json
import pathlib
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))
from harness import REPOSITORY, Daemon, Tree, check, equal, wait_for  # noqa: E402
from receivers import Alertmanager, Hook, identity, one_incident  # noqa: E402

RULE = {"alert": "SensorHot", "value": {"metric": "perjoule_temperature_celsius", "match": {"chip": "k10temp"}},
        "levels": [{"severity": "warning", "raise_above": 80, "clear_below": 70}], "summary": "{sensor} is hot."}
SENSORS = ("ends", "begins", "within", "lasts")
DIRECT, MANAGED = "/direct", "/alertmanager"


def heat(tree, **degrees):
    for sensor, value in degrees.items():
        tree.put(f"class/hwmon/hwmon0/temp{SENSORS.index(sensor) + 1}_input", value * 1000)


def of(hook, path, sensor):
    return [(status, alert) for status, alert in hook.alerts(path) if alert["labels"]["sensor"] == sensor]


def wait_until(moment, what):
    wait_for(lambda: time.monotonic() >= moment, what, moment - time.monotonic() + 60, every=0.5)


def play(binary, directory, seconds, hook, manager):
    tree = Tree(directory)
    files = {f"temp{i}_{kind}": value for i, name in enumerate(SENSORS, 1) for kind, value in
             (("input", 50000), ("label", name))}
    tree.chip(0, "k10temp", files)
    config = directory / "perjoule.json"
    config.write_text(json.dumps({"collectors": {"hwmon": {"period": "1s"}},
                                  "alerts": {"default_rules": False, "rules": [RULE], "webhooks": [hook.url + DIRECT],
                                             "alertmanagers": [manager.url]}}))
    flags = (f"--config.file={config}", *tree.flags)
    manager.start()
    with Daemon(binary, directory, *flags) as daemon:
        heat(tree, ends=90, lasts=90)
        hook.wait(MANAGED, 2)
        manager.stop()
        begin = time.monotonic()
        print(f"the Alertmanager is down for {seconds} s")
        heat(tree, begins=90, within=90)
        hook.wait(DIRECT, 4)
        wait_until(begin + seconds / 3, "a third of the outage")
        daemon.stop()
    with Daemon(binary, directory, *flags) as daemon:
        heat(tree, ends=50, within=50)
        hook.wait(DIRECT, 6)
        wait_until(begin + seconds, "the end of the outage")
        manager.start()
        back = time.monotonic()
        wait_for(lambda: of(hook, MANAGED, "begins") and len(of(hook, MANAGED, "ends")) == 2, "it catches up", 90)
        print(f"caught up {time.monotonic() - back:.1f} s after it was back")
        scrape = daemon.scrape()
        failures = scrape.value("perjoule_alert_notification_failures_total", kind="alertmanager")
        print(f"POSTs that failed since the restart: {failures:.0f}")
        check(failures <= seconds / 30 + 10, "it was asked too often")
        equal(scrape.value("perjoule_alert_notifications_dropped_total", kind="alertmanager"), 0, "dropped")
        time.sleep(10)  # an incident that lasts must not be sent again
        heat(tree, begins=50, lasts=50)
        wait_for(lambda: all(len(of(hook, MANAGED, sensor)) == 2 for sensor in ("begins", "lasts")), "their ends", 30)
        time.sleep(10)  # a duplicate would arrive in this time
        daemon.stop()


def judge(hook):
    for sensor in SENSORS:
        incident = one_incident(of(hook, DIRECT, sensor), f"{sensor} at the webhook")
        if sensor == "within":  # Alertmanager sends no "resolved" for an alert that it never sent as firing
            equal(of(hook, MANAGED, sensor), [], "within through the Alertmanager")
        else:
            equal(one_incident(of(hook, MANAGED, sensor), f"{sensor} through the Alertmanager"), incident, sensor)
        print(f"{sensor}: fingerprint {incident[0]}, one firing and one resolved")
    equal(len({identity(alert) for _, alert in hook.alerts(DIRECT)}), 4, "incidents")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "build/dev/perjouled")
    parser.add_argument("--seconds", type=int, default=600, help="of the outage")
    options = parser.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="perjoule-alertmanager-"))
    try:
        with Hook() as hook, Alertmanager(directory, hook.url + MANAGED) as manager:
            play(options.binary, directory, options.seconds, hook, manager)
            judge(hook)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
