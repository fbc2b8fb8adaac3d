#!/usr/bin/env python3
"""Configuration as a user sees it: errors, the origin of each value, and the effect of a reload."""
import json
import re
import signal
import sys

from harness import Daemon, Tree, check, equal, main, run, wait_for


FAILURES = "perjoule_alert_notification_failures_total"


def write(directory, name, text):
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text, indent=2))
    return path


def all_errors_at_once(binary, directory):
    path = write(directory, "bad.json", """{
  // a comment, and a comma behind the last member, are allowed
  "web": { "listen_adress": ["127.0.0.1:10190"] },
  "storage": { "commit": "5 parsecs" },
  "collectors": { "rapl": { "enabled": "yes" }, "warp": {} },
}
""")
    for command in (["check-config", path], ["check-config", f"--config.file={path}"], [f"--config.file={path}"]):
        ended = run([binary, *command])
        equal(ended.returncode, 78, f"exit code of {command}")
        for place, *words in ((3, "listen_adress", "did you mean", "listen_address"), (4, "storage.commit", "parsecs"),
                              (5, "collectors.rapl.enabled"), (5, "collectors.warp")):
            blocks = re.split(r"(?m)^(?=\S+: error: )", ended.stderr)
            found = [block for block in blocks if f"{path}:{place}:" in block and all(word in block for word in words)]
            equal(len(found), 1, f"refusals at line {place} with {words} in:\n{ended.stderr}")
            check("^" in found[0], f"no caret in:\n{found[0]}")
        check("4 errors" in ended.stderr, ended.stderr)
    good = write(directory, "good.json", {"storage": {"commit": "10s"}})
    ended = run([binary, "check-config", good])
    equal((ended.returncode, ended.stderr), (0, ""), "a good file")
    equal(run([binary, "check-config", directory / "missing.json"]).returncode, 78, "a file that is missing")


def origins(binary, directory):
    path = write(directory, "perjoule.json", """{
  "storage": {
    "commit": "10s",
    "path": "/a"
  },
  "log": { "level": "warn" }, "collectors": { "cpu": { "period": "2s" } }
}
""")
    more = write(directory, "conf.d/10.json", '{ "storage": { "path": "/b" } }\n')
    last = write(directory, "conf.d/20.json", '\n{ "storage": { "retention": { "raw": "7d" } } }\n')
    ended = run([binary, "print-config", f"--config.file={path}", "--log.format", "json", "--no-collector.hwmon"],
                environment={"PERJOULE_LOG_LEVEL": "error"})
    equal((ended.returncode, ended.stderr), (0, ""), "print-config")
    shown = {}
    for line in ended.stdout.splitlines():
        key, value, origin = re.match(r"(\S+) += (.*?) +# (.*)", line).groups()
        shown[key] = (value, origin)
    for key, value, origin in (
            ("storage.commit", '"10s"', f"{path}:3"), ("storage.path", '"/b"', f"{more}:1"),
            ("storage.retention.raw", '"7d"', f"{last}:2"), ("storage.retention.minute", '"1y"', "default"),
            ("log.level", '"error"', "environment PERJOULE_LOG_LEVEL"), ("log.format", '"json"', "flag --log.format"),
            ("collectors.cpu.period", '"2s"', f"{path}:6"), ("collectors.hwmon.enabled", "false",
                                                             "flag --no-collector.hwmon")):
        equal(shown.get(key), (value, origin), key)


def dialect(binary, directory):
    for flags in (["--storage.commit=20s"], ["--storage.commit", "20s"]):
        ended = run([binary, "print-config", *flags])
        equal(ended.returncode, 0, f"exit code of {flags}")
        check(re.search(r'storage\.commit += "20s" +# flag --storage\.commit', ended.stdout), f"{flags} is taken")
    equal(run([binary, "--storage.comit=20s"]).returncode, 2, "an unknown flag")
    equal(run([binary, "nonsense"]).returncode, 2, "an unknown command")
    equal(run([binary, "once", "--format=xml"]).returncode, 2, "an unknown format")
    equal(run([binary, "print-config", "--storage.commit=soon"]).returncode, 78, "a bad value")
    ended = run([binary, "print-config"], environment={"PERJOULE_STORAGE_COMIT": "5s"})
    equal(ended.returncode, 78, "an unknown variable")
    check("PERJOULE_STORAGE_COMMIT" in ended.stderr, ended.stderr)
    version = run([binary, "--version"])
    equal(version.returncode, 0, "--version")
    check(version.stdout.startswith("perjouled, version "), version.stdout)


def reload_by_signal(binary, directory):
    tree = Tree(directory)
    tree.zone(0, "acpitz", 27800)
    path = write(directory, "perjoule.json", {"collectors": {"thermal_zone": {"period": "1s"}}})
    with Daemon(binary, directory, f"--config.file={path}", "--no-storage", *tree.flags) as daemon:
        shown = daemon.scrape_until(lambda seen: seen.find("perjoule_temperature_celsius") == 27.8, "the zone")
        equal(shown.value("perjoule_config_last_reload_successful"), 1, "the start counts as a reload")
        at_start = shown.value("perjoule_config_last_reload_success_timestamp_seconds")

        write(directory, "perjoule.json", "{ nonsense")
        daemon.process.send_signal(signal.SIGHUP)
        bad = daemon.scrape_until(lambda seen: seen.value("perjoule_config_last_reload_successful") == 0, "a bad one")
        equal(bad.value("perjoule_temperature_celsius"), 27.8, "the running configuration stays")
        equal(bad.value("perjoule_config_last_reload_success_timestamp_seconds"), at_start, "time of the last good one")
        check(daemon.lines("configuration not reloaded", "perjoule.json:1:"), "the log says where")

        write(directory, "perjoule.json", {"collectors": {"thermal_zone": {"enabled": False}},
                                           "web": {"telemetry_path": "/other"}})
        daemon.process.send_signal(signal.SIGHUP)
        good = daemon.scrape_until(lambda seen: seen.value("perjoule_config_last_reload_successful") == 1, "a good one")
        good = daemon.scrape_until(lambda seen: not seen["perjoule_temperature_celsius"], "the zone's series go")
        check(not [labels for name in good.families for labels, _ in good[name]
                   if labels.get("source") == "thermal_zone"], "nothing is left of the disabled collector")
        check(good.value("perjoule_config_last_reload_success_timestamp_seconds") > at_start, "time of the reload")
        check(daemon.lines("needs a restart", "key=web.telemetry_path"), "the log names the key that needs a restart")
        equal(daemon.get("/other")[0], 404, "the new path is not served before a restart")

        write(directory, "perjoule.json", {"collectors": {"thermal_zone": {"period": "1s"}}})
        daemon.process.send_signal(signal.SIGHUP)
        daemon.scrape_until(lambda seen: seen.find("perjoule_temperature_celsius") == 27.8, "it comes back")
        equal(daemon.scrape().value("perjoule_collector_missed_ticks_total", source="cpu"), 0, "cpu went on")
        daemon.stop()


def reload_by_http(binary, directory):
    path = write(directory, "perjoule.json", {"log": {"level": "info"}})
    with Daemon(binary, directory, f"--config.file={path}", "--no-storage", "--web.enable-lifecycle") as daemon:
        equal(daemon.get("/-/reload", method="POST")[0], 200, "a good reload")
        write(directory, "perjoule.json", {"log": {"level": "loud"}})
        equal(daemon.get("/-/reload", method="POST")[0], 429, "another one in the same second")
        status, body = wait_for(lambda: (got := daemon.get("/-/reload", method="POST"))[0] != 429 and got[::2],
                                "another reload")
        equal(status, 500, "a bad reload")
        check(b"see the log" in body and b"loud" not in body, body)
        check(daemon.lines("log.level", "loud"), "the log says what was refused")
        wait_for(lambda: daemon.scrape().value("perjoule_config_last_reload_successful") == 0, "it shows")
    with Daemon(binary, directory, "--no-storage") as daemon:
        equal(daemon.get("/-/reload", method="POST")[0], 403, "without --web.enable-lifecycle")


def no_secret_is_shown(binary, directory):
    """Planted in webhook URLs, in a refused file, on a refused command line: nothing prints it."""
    secret = "planted-secret"
    hook = f"http://127.0.0.1:1/{secret}?key={secret}"
    path = write(directory, "perjoule.json", {"alerts": {"webhooks": [hook], "alertmanagers": [hook]}})
    shown = run([binary, "print-config", f"--config.file={path}"])
    equal(shown.returncode, 0, shown.stderr)
    check('["http://127.0.0.1:1/***"]' in shown.stdout, shown.stdout)
    check(secret not in shown.stdout, shown.stdout)
    rule = {"alert": "Always", "value": {"metric": "perjoule_cpu_utilization_ratio"},
            "levels": [{"severity": "warning", "raise_above": -1, "clear_below": -2}], "summary": "always"}
    path = write(directory, "rules.json", {"alerts": {"webhooks": [hook], "alertmanagers": [hook], "rules": [rule]}})
    equal(run([binary, "check-config", path]).returncode, 0, "the rule")
    with Daemon(binary, directory, f"--config.file={path}", "--log.level=debug") as daemon:
        daemon.scrape_until(lambda seen: sum(value for _, value in seen[FAILURES]) >= 2, "failed deliveries", 20)
        for address in ("/metrics", "/", "/api/v1/rules", "/api/v1/alerts"):
            check(secret.encode() not in daemon.get(address)[2], f"{address} shows it")
        daemon.stop()
        check(secret not in daemon.log(), daemon.log())
    bad = write(directory, "bad.json", f'{{"alerts": {{"webhooks": ["{hook}"], "webhook": "{hook}", "a": 1 }}')
    for command in (["check-config", bad], [f"--alerts.webhook={hook}"], [f"--alerts.webhooks=x/{secret}", "once"],
                    ["print-config", "--alerts.webhooks", hook]):
        ended = run([binary, *command])
        check(secret not in ended.stdout + ended.stderr, f"{command[0]}: {ended.stdout}{ended.stderr}")
    stored = b"".join(file.read_bytes() for file in (directory / "store").iterdir())
    check(secret.encode() not in stored, "the secret is in a file of the storage")


def files_are_for_the_daemon(binary, directory):
    """Every file that the daemon makes has mode 0640 at most, whatever the caller's mask."""
    with Daemon(binary, directory, words=["sh", "-c", 'umask 0; exec "$@"', "sh"]) as daemon:
        store = directory / "store"
        wait_for(lambda: (store / "history.db").exists(), "the history", 15)
        modes = {file.name: oct(file.stat().st_mode & 0o7777) for file in store.iterdir()}
        check({"ledger.db", "lock", "history.db"} <= set(modes) and set(modes.values()) == {"0o640"}, modes)
        equal(oct(store.stat().st_mode & 0o7777), "0o750", "mode of the directory")
        daemon.stop()
    (store / "lock").unlink()
    (store / "lock").symlink_to(write(directory, "victim", "precious"))
    ended = run([binary, f"--storage.path={store}", "--web.listen-address=127.0.0.1:0"])
    equal(ended.returncode, 1, ended.stderr)
    check("not a regular file" in ended.stderr and "remedy=" in ended.stderr, ended.stderr)
    equal((directory / "victim").read_text(), "precious", "the file behind the link")


if __name__ == "__main__":
    sys.exit(main([all_errors_at_once, origins, dialect, reload_by_signal, reload_by_http, no_secret_is_shown,
                   files_are_for_the_daemon]))
