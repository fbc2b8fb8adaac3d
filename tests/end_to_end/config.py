#!/usr/bin/env python3
"""Configuration as a user sees it: errors, the origin of each value, and the effect of a reload."""
import json
import re
import shutil
import signal
import sys

from harness import Daemon, Skip, Tree, as_nobody, check, equal, main, run, wait_for, with_etc


FAILURES = "perjoule_alert_notification_failures_total"


def write(directory, name, text):
    path = directory / name
    path.parent.mkdir(exist_ok=True, parents=True)
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
    equal((ended.returncode, ended.stdout, ended.stderr), (0, f"OK: {good} (1 key changed)\n", ""), "a good file")
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
    equal((ended.returncode, ended.stderr),
          (0, f"configuration: {path}, conf.d/10.json, conf.d/20.json (7 keys changed)\n"), "print-config")
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
    equal(run([binary, "print-config", "--no-web.enable-lifecycle"]).returncode, 0, "each boolean has a negation")
    equal(run([binary, "print-config", "--storage.commit=soon"]).returncode, 78, "a bad value")
    ended = run([binary, "print-config"], environment={"PERJOULE_STORAGE_COMIT": "5s"})
    equal(ended.returncode, 78, "an unknown variable")
    check("PERJOULE_STORAGE_COMMIT" in ended.stderr, ended.stderr)
    version = run([binary, "--version"])
    equal(version.returncode, 0, "--version")
    check(version.stdout.startswith("perjouled, version "), version.stdout)


def did_you_mean(binary, _):
    for words, answer in (
            (["--storage.comit=20s"], "unknown flag --storage.comit; did you mean --storage.commit?"),
            (["once", "--fromat=json"], "unknown flag --fromat; did you mean --format?"),
            (["--no-colector.rapl"], "unknown flag --no-colector.rapl; did you mean --no-collector.rapl?"),
            (["--alerts.webhook=https://secret"], "unknown flag --alerts.webhook; did you mean --alerts.webhooks?"),
            (["oncee"], 'unknown command "oncee"; did you mean once?'),
            (["check-conf", "--log.level=info"], 'unknown command "check-conf"; did you mean check-config?'),
            (["nonsense"], 'unknown command "nonsense"'), (["once", "twice"], 'unexpected argument "twice" of once'),
            (["describe", "metrcs"], 'did you mean "metrics"?'), (["once", "--format=jsn"], 'did you mean "json"?'),
            (["once", "--format=xml"], '"xml" is not one of table, json, prometheus'),
            (["\x1b[2J"], r'unknown command "\u001b[2J"')):
        ended = run([binary, *words])
        equal(ended.returncode, 2, f"exit code of {words}: {ended.stderr}")
        check(answer in ended.stderr, f"{words}: {ended.stderr}")


def empty_values(binary, directory):
    """An empty value is one: it does not take the next argument."""
    path = write(directory, "perjoule.json", {"log": {"level": "warn"}})
    ended = run([binary, "--config.file=", "check-config"])
    equal((ended.returncode, ended.stdout), (0, "OK: no file (0 keys changed)\n"), "no file")
    ended = run([binary, "--config.file", "", "check-config"])
    equal((ended.returncode, ended.stdout), (0, "OK: no file (0 keys changed)\n"), "no file, in two words")
    ended = run([binary, "--config.file=", "check-config", path])
    equal((ended.returncode, ended.stdout), (0, f"OK: {path} (1 key changed)\n"), "the file of the command")
    ended = run([binary, "--alerts.runbook-url=", "--path.procfs=", "print-config"])
    equal(ended.returncode, 78, ended.stderr)
    check("flag --path.procfs" in ended.stderr and "runbook" not in ended.stderr, ended.stderr)
    ended = run([binary, "once", "--format=", "--no-storage"])
    equal((ended.returncode, '"" is not one of' in ended.stderr), (2, True), ended.stderr)
    ended = run([binary, "--collector.rapl=", "check-config"])
    equal(ended.returncode, 78, f"a boolean: {ended.stdout}{ended.stderr}")


def help_fits(binary, _):
    texts = {"": run([binary, "--help"])}
    for name in re.findall(r"(?m)^  ([a-z]+(?:-[a-z]+)?)(?: |$)", texts[""].stdout.split("General:")[0]):
        texts[name] = run([binary, name, "--help"])
    check(len(texts) >= 9, list(texts))
    for name, ended in texts.items():
        equal((ended.returncode, ended.stderr), (0, ""), f"{name} --help")
        check(max(map(len, ended.stdout.splitlines())) <= 100, f"{name} --help is wider than 100 columns")
    for heading in ("Commands", "General", "Web", "Storage", "Paths", "Collector nvml", "Alerts"):
        check(f"\n{heading}:\n" in texts[""].stdout, f"no group {heading}")
    flat = " ".join(texts[""].stdout.split())
    for part in ('--storage.commit=DURATION Interval at which history is written to disk; a power failure loses at '
                 'most this much. Default: 5s.', "--[no-]collector.rapl ", "Default: /etc/perjoule/perjoule.json"):
        check(part in flat, part)
    check("--format=table|json|prometheus" in texts["once"].stdout, texts["once"].stdout)


def installed_file(binary, directory):
    """/etc/perjoule/perjoule.json and conf.d beside it are read unless another file, or none, is named."""
    words = with_etc(directory)
    etc = directory / "etc/perjoule"

    def ended(*arguments):
        return run([*words, binary, *arguments], installed_file=True)

    equal(ended("check-config").stdout, "OK: no file (0 keys changed)\n", "nothing installed")
    write(etc, "perjoule.json", {"web": {"max_requests": 39}, "storage": {"commit": "7s"}})
    write(etc, "conf.d/10-site.json", {"storage": {"path": str(directory), "commit": "8s"},
                                       "collectors": {"cpu": {"period": "2s"}}})
    files = "/etc/perjoule/perjoule.json, conf.d/10-site.json (4 keys changed)\n"
    equal(ended("check-config").stdout, f"OK: {files}", "check-config")
    for arguments in (["print-config"], ["once", "--format=json"], ["once"], ["doctor"], ["describe", "rules"],
                      ["describe", "alerts"], ["export"], ["accept-inventory"]):
        check(ended(*arguments).stderr.startswith(f"configuration: {files}"), f"{arguments}: first line")
    equal(ended("print-config", "--config.file=").stderr, "configuration: no file (0 keys changed)\n", "no file")
    check('storage.commit' in ended("print-config").stdout, "print-config")
    with Daemon(binary, directory, "--storage.path", directory / "store", words=words, installed_file=True) as daemon:
        first = daemon.log().splitlines()[0]
        check('msg=starting' in first and files.strip().replace("4", "5") in first, first)
        daemon.stop()

    (etc / "perjoule.json").unlink()
    equal(ended("check-config").stdout, "OK: /etc/perjoule/conf.d/10-site.json (3 keys changed)\n", "conf.d alone")
    write(etc, "perjoule.json", '{ "log": { "level": "lo\x1b[31mud" } }')
    for arguments in ([], ["check-config"], ["once"], ["doctor"], ["describe", "rules"], ["export"]):
        broken = ended(*arguments)
        equal((broken.returncode, broken.stdout), (78, ""), f"{arguments} on a broken file: {broken.stderr}")
        check("/etc/perjoule/perjoule.json:1:" in broken.stderr, broken.stderr)
        check("\x1b" not in broken.stderr, "a control byte reaches the terminal")


def closed_file(binary, directory):
    """The installed file may be closed to a user: only commands that look at the host go on without it."""
    words = with_etc(directory)
    if not as_nobody():
        raise Skip("needs root")
    path = write(directory / "etc/perjoule", "perjoule.json", {"log": {"level": "warn"}})
    path.chmod(0o600)
    copy = shutil.copy(binary, directory / "perjouled")

    def ended(*arguments):
        return run([*words, *as_nobody(), copy, *arguments], installed_file=True)

    for arguments in (["check-config"], ["print-config"], []):
        refused = ended(*arguments)
        equal(refused.returncode, 77, f"{arguments}: {refused.stderr}")
        check("sudo" in refused.stderr and "--config.file=" in refused.stderr, refused.stderr)
    equal(ended("check-config", f"--config.file={path}").returncode, 78, "a named file")
    looked = ended("once", "--no-storage")
    equal(looked.returncode, 0, looked.stderr)
    check("/etc/perjoule/perjoule.json is not readable" in looked.stderr, looked.stderr)


def conffile(binary, directory):
    """The installed file changes nothing, and each of its lines can be uncommented."""
    shipped = run([binary, "describe", "config"]).stdout
    path = write(directory, "perjoule.json", shipped)
    plain, with_it = run([binary, "print-config"]), run([binary, "print-config", f"--config.file={path}"])
    equal(with_it.stdout, plain.stdout, "print-config with the installed file")
    equal(run([binary, "check-config", path]).stdout, f"OK: {path} (0 keys changed)\n", "check-config")
    keys = re.compile(r'(?m)^( *)// ("[a-z_0-9]+": .*,)$')
    equal(len(keys.findall(shipped)), len(plain.stdout.splitlines()), "keys in the file")
    write(directory, "perjoule.json", keys.sub(r"\1\2", shipped))
    uncommented = run([binary, "print-config", f"--config.file={path}"])
    equal(uncommented.returncode, 0, uncommented.stderr)
    check("(0 keys changed)" in uncommented.stderr, uncommented.stderr)
    equal(uncommented.stdout.count(f"# {path}:"), len(plain.stdout.splitlines()), "keys from the file")


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
        check(daemon.wait_lines("configuration not reloaded", "perjoule.json:1:"), "the log says where")

        write(directory, "perjoule.json", {"collectors": {"thermal_zone": {"enabled": False}},
                                           "web": {"telemetry_path": "/other"}})
        daemon.process.send_signal(signal.SIGHUP)
        good = daemon.scrape_until(lambda seen: seen.value("perjoule_config_last_reload_successful") == 1, "a good one")
        good = daemon.scrape_until(lambda seen: not seen["perjoule_temperature_celsius"], "the zone's series go")
        check(not [labels for name in good.families for labels, _ in good[name]
                   if labels.get("source") == "thermal_zone"], "nothing is left of the disabled collector")
        check(good.value("perjoule_config_last_reload_success_timestamp_seconds") > at_start, "time of the reload")
        check(daemon.wait_lines("needs a restart", "key=web.telemetry_path"), "the log names the key")
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
        check(daemon.wait_lines("log.level", "loud"), "the log says what was refused")
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
    sys.exit(main([all_errors_at_once, origins, dialect, did_you_mean, empty_values, help_fits, installed_file,
                   closed_file, conffile, reload_by_signal, reload_by_http, no_secret_is_shown,
                   files_are_for_the_daemon]))
