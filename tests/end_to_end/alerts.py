"""Alert rules in the running daemon: a warm inlet fires, a restart neither notifies again nor forgets, a reload that
removes the rule resolves it, and an invalid rule is refused with its place."""
import json
import pathlib
import signal
import sys

import harness
from harness import Daemon, check, equal, wait_for

RULE = {"alert": "InletWarm", "value": {"metric": "perjoule_temperature_celsius", "match": {"role": "inlet"}},
        "levels": [{"severity": "warning", "raise_above": 27, "clear_below": 26}],
        "summary": "{sensor} has {value} degrees"}


def configure(directory, *rules):
    path = pathlib.Path(directory) / "perjoule.json"
    textfiles = pathlib.Path(directory) / "textfiles"
    textfiles.mkdir(exist_ok=True)
    path.write_text(json.dumps({"collectors": {"textfile": {"directory": str(textfiles), "period": "200ms",
                                                            "deadline": "200ms"}},
                                "alerts": {"rules": list(rules)}}))
    return path


def inlet(directory, degrees):
    path = pathlib.Path(directory) / "textfiles/inlet.prom"
    aside = path.with_suffix(".new")
    aside.write_text(f'perjoule_temperature_celsius{{chip="room",sensor="rack-1",role="inlet"}} {degrees}\n')
    aside.rename(path)


def firing(scrape):
    return scrape.find("perjoule_alerts", alertname="InletWarm", severity="warning", state="firing")


def of_api(daemon, path):
    status, _, body = daemon.get(f"/api/v1/{path}")
    equal(status, 200, path)
    return json.loads(body)["data"]


def is_told_as_prometheus_tells_it(daemon):
    alert, = of_api(daemon, "alerts")["alerts"]
    equal((alert["state"], alert["value"]), ("firing", "2.85e+01"), "alert")
    equal(alert["labels"], {"alertname": "InletWarm", "severity": "warning", "chip": "room", "sensor": "rack-1",
                            "role": "inlet"}, "labels")
    equal(alert["annotations"], {"summary": "rack-1 has 28.5 degrees"}, "annotations")
    group, = of_api(daemon, "rules")["groups"]
    rule, = (rule for rule in group["rules"] if rule["name"] == "InletWarm")
    equal((rule["state"], rule["type"], rule["health"]), ("firing", "alerting", "ok"), "rule")
    equal(rule["alerts"], [alert], "the rule's alerts")


def fires_over_a_restart_and_resolves(binary, directory):
    config = configure(directory, RULE)
    inlet(directory, 24)
    with Daemon(binary, directory, f"--config.file={config}") as daemon:
        daemon.scrape_until(lambda scrape: firing(scrape) == 0, "the rule is known")
        inlet(directory, 28.5)
        daemon.scrape_until(lambda scrape: firing(scrape) == 1, "the alert fires")
        line = daemon.wait_lines("alert firing", "InletWarm")
        equal(len(line), 1, "lines of the log")
        check('summary="rack-1 has 28.5 degrees"' in line[0], line[0])
        is_told_as_prometheus_tells_it(daemon)
        inlet(directory, 26.5)
        harness.wait_for(lambda: daemon.scrape().value("perjoule_temperature_celsius", role="inlet") == 26.5, "26.5")
        equal(firing(daemon.scrape()), 1, "inside the band")
        wait_for(lambda: daemon.scrape().value("perjoule_storage_appended_samples_total") > 0, "a commit", 20)
        daemon.stop()
    with Daemon(binary, directory, f"--config.file={config}") as daemon:
        equal(firing(daemon.scrape()), 1, "after the restart")
        equal(daemon.lines("alert firing", "InletWarm"), [], "a restart pages again")
        inlet(directory, 25)
        daemon.scrape_until(lambda scrape: firing(scrape) == 0, "the alert resolves")
        equal(len(daemon.wait_lines("alert resolved", "InletWarm")), 1, "lines of the log")


def a_reload_resolves_what_it_takes_away(binary, directory):
    config = configure(directory, RULE)
    inlet(directory, 30)
    with Daemon(binary, directory, f"--config.file={config}") as daemon:
        daemon.scrape_until(lambda scrape: firing(scrape) == 1, "the alert fires")
        configure(directory)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.scrape_until(lambda scrape: firing(scrape) is None, "the rule is gone")
        line = daemon.wait_lines("alert resolved", "InletWarm")
        check(len(line) == 1 and 'reason="the rule was removed"' in line[0], line)


def a_rule_that_is_wrong_is_refused_with_its_place(binary, directory):
    wrong = json.loads(json.dumps(RULE).replace("celsius", "celcius"))
    result = harness.run([binary, "check-config", configure(directory, wrong)])
    equal(result.returncode, 78, "exit code")
    check("alerts.rules[0].value.metric: unknown metric" in result.stderr, result.stderr)
    check('did you mean "perjoule_temperature_celsius"?' in result.stderr, result.stderr)


def a_rule_that_nothing_feeds_is_warned_of(binary, directory):
    idle = {**RULE, "alert": "TokensSlow", "value": {"metric": "perjoule_workload_efficiency_index_ratio"},
            "summary": "{workload}"}
    config = configure(directory, RULE, idle)
    said = ("alert TokensSlow can never fire: perjoule_workload_efficiency_index_ratio: no part of this build produces "
            "it")
    result = harness.run([binary, "check-config", config])
    equal((result.returncode, result.stderr), (0, f"warning: {said}\n"), "check-config")
    off = [f"--no-collector.{name}" for name in ("textfile", "hwmon", "thermal_zone")]
    result = harness.run([binary, "check-config", config, *off])
    check("InletWarm can never fire: perjoule_temperature_celsius: every collector that reads it is disabled"
          in result.stderr, result.stderr)
    with Daemon(binary, directory, f"--config.file={config}") as daemon:
        equal(len(daemon.wait_lines("an alert rule cannot fire", said)), 1, "lines of the log")
        wait_for(lambda: said.encode() in daemon.get("/")[2], "the page")
        configure(directory, RULE)
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: said.encode() not in daemon.get("/")[2], "the page after a reload")
        equal(len(daemon.wait_lines("an alert rule cannot fire")), 1, "lines of the log after it")


def critical_is_logged_as_an_error(binary, directory):
    config = configure(directory, {**RULE, "levels": [{"severity": "critical", "raise_above": 27}]})
    inlet(directory, 30)
    with Daemon(binary, directory, f"--config.file={config}") as daemon:
        wait_for(lambda: daemon.lines("alert firing", "level=error"), "a line at the level error")


if __name__ == "__main__":
    sys.exit(harness.main([fires_over_a_restart_and_resolves, a_reload_resolves_what_it_takes_away,
                           a_rule_that_is_wrong_is_refused_with_its_place, a_rule_that_nothing_feeds_is_warned_of,
                           critical_is_logged_as_an_error]))
