#!/usr/bin/env python3
"""The systemd unit and the Debian package, checked with systemd's and Debian's tools; nothing is installed.

The package is built from the build tree that holds the binary. tests/soak/package.sh installs it and boots with it.
"""
import pathlib
import re
import shutil
import stat
import subprocess
import sys

from harness import REPOSITORY, Skip, check, equal, main, run

SYSTEMD = REPOSITORY / "deploy/systemd"
UNIT = SYSTEMD / "perjouled.service"
DROP_INS = SYSTEMD / "perjouled.service.d"
EXPOSURE_MAX = 2.5


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise Skip(f"needs {tool}")


def unit_with(directory, *drop_ins):
    """The unit as installed, with the given drop-ins enabled; the package leaves all of them disabled."""
    directory.mkdir()
    folder = directory / "perjouled.service.d"
    folder.mkdir()
    for name in drop_ins:
        shutil.copy(DROP_INS / name, folder)
    return shutil.copy(UNIT, directory)


def exposure(unit, threshold=100):
    ended = run(["systemd-analyze", "security", "--offline=true", f"--threshold={threshold}", unit])
    return ended.returncode, float(re.search(r"exposure level for \S+: ([\d.]+)", ended.stdout)[1])


def verify(binary, directory):
    need("systemd-analyze")
    for name in ["", *sorted(path.name for path in DROP_INS.iterdir())]:
        unit = pathlib.Path(unit_with(directory / (name or "none"), *filter(None, [name])))
        unit.write_text(unit.read_text().replace("/usr/bin/perjouled", str(binary)))
        ended = run(["systemd-analyze", "verify", "--recursive-errors=yes", "--man=no", unit])
        about = "\n".join(line for line in ended.stderr.splitlines() if "perjouled" in line)
        equal((ended.returncode, about), (0, ""), f"verify with {name or 'no drop-in'}: {ended.stderr}")
    spoilt = directory / "spoilt.service"
    spoilt.write_text(unit.read_text().replace("WatchdogSec=30s", "WatchdogSec=soon"))
    ended = run(["systemd-analyze", "verify", "--recursive-errors=yes", "--man=no", spoilt])
    check(ended.returncode != 0, "a wrong unit passes")


def scores(_, directory):
    """The table of deploy/systemd/README.md agrees with systemd-analyze."""
    need("systemd-analyze")
    table = dict(re.findall(r"^\| (?:`(\S+)`|none) \|.*\| ([\d.]+) \|$", (SYSTEMD / "README.md").read_text(),
                            re.MULTILINE))
    names = sorted(path.name for path in DROP_INS.iterdir())
    equal(sorted(table), ["", *names], "rows of the table")
    code, base = exposure(unit_with(directory / "base"), int(EXPOSURE_MAX * 10))
    equal((code, f"{base}"), (0, table[""]), f"the unit, at most {EXPOSURE_MAX}")
    for name in names:
        equal(f"{exposure(unit_with(directory / name, name))[1]}", table[name], name)
    additions = [name for name in names if not name.startswith("00-")]
    stated = re.search(r"All three additions together: ([\d.]+)\.", (SYSTEMD / "README.md").read_text())
    equal((len(additions), stated[1]), (3, f"{exposure(unit_with(directory / 'all', *additions))[1]}"), "together")


def build_package(binary, directory):
    need("cpack", "dpkg-deb", "dpkg-shlibdeps", "file")
    config = binary.parent / "CPackConfig.cmake"
    ended = run(["cpack", "-G", "DEB", "--config", config, "-B", directory / "package"], seconds=200)
    equal(ended.returncode, 0, f"cpack: {ended.stdout}{ended.stderr}")
    return next((directory / "package").glob("*.deb"))


def package(binary, directory):
    need("lintian")
    deb = build_package(binary, directory)
    judged = run(["lintian", "--allow-root", "--fail-on=error,warning", deb], seconds=90)
    equal((judged.returncode, judged.stdout), (0, ""), f"lintian: {judged.stderr}")

    tree = directory / "tree"
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    for name in ["usr/bin/perjouled", "usr/lib/systemd/system/perjouled.service", "etc/perjoule/perjoule.json",
                 "etc/default/perjouled", "usr/lib/sysusers.d/perjouled.conf", "usr/lib/tmpfiles.d/perjouled.conf",
                 "usr/share/man/man8/perjouled.8.gz", "usr/share/man/man5/perjoule.json.5.gz",
                 "usr/share/perjoule/systemd/perf.conf", "usr/share/doc/perjoule/copyright",
                 "usr/share/doc/perjoule/changelog.gz"]:
        check((tree / name).is_file(), f"{name} is not in the package")
    for folder in ("prometheus", "runbooks", "grafana"):
        shipped = {path.name for path in (tree / "usr/share/perjoule" / folder).glob("*")}
        kept = {path.name for path in (REPOSITORY / "deploy" / folder).glob("*")}
        equal(shipped, kept, f"{folder} of the package")
    conffiles = set((tree / "DEBIAN/conffiles").read_text().split())
    equal(conffiles, {f"/{path.relative_to(tree)}" for path in (tree / "etc").rglob("*") if path.is_file()},
          "conffiles")
    for path in tree.rglob("*"):
        check(not path.is_file() or path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IWOTH) == 0, path)
    control = (tree / "DEBIAN/control").read_text()
    for library in ("libc6", "libsqlite3-0", "libprometheus-cpp-core1.0"):
        check(re.search(rf"^Depends: .*\b{library}\b", control, re.MULTILINE), control)

    ended = run([tree / "usr/bin/perjouled", "check-config", tree / "etc/perjoule/perjoule.json"])
    equal(ended.returncode, 0, f"the shipped configuration: {ended.stderr}")
    defaults = run(["sh", "-c", f". {tree}/etc/default/perjouled && printf '<%s>' \"$ARGS\""])
    equal(defaults.stdout, "<>", "the shipped arguments")
    for script in ("postinst", "prerm", "postrm"):
        check((tree / "DEBIAN" / script).stat().st_mode & 0o777 == 0o755, f"mode of {script}")


def unit_grants(_, directory):
    """What the unit must not reach, and GPUs whose driver is loaded after it."""
    lines = UNIT.read_text().splitlines()
    hidden = " ".join(line.split("=", 1)[1] for line in lines if line.startswith("InaccessiblePaths="))
    for path in ("/etc/shadow", "/etc/gshadow", "/etc/ssh"):
        check(f"-{path}" in hidden.split(), f"{path} can be read")
    for line in ("ProtectHome=yes", "NoExecPaths=/", "LimitCORE=0", "DeviceAllow=char-195 rw", "DevicePolicy=closed"):
        check(line in lines, f"the unit has no {line}")


def script_with(directory, name):
    """A maintainer script whose paths lie below `directory`, with tools that only write down their calls."""
    tools = directory / "tools"
    tools.mkdir()
    for tool in ("deb-systemd-helper", "userdel", "groupdel", "getent", "systemctl", "chown", "systemd-sysusers",
                 "systemd-tmpfiles", "deb-systemd-invoke", "dpkg-statoverride"):
        code = 1 if tool == "dpkg-statoverride" else 0
        (tools / tool).write_text(f'#!/bin/sh\necho {tool} "$@" >>{directory}/calls\nexit {code}\n')
        (tools / tool).chmod(0o755)
    text = (REPOSITORY / "deploy/debian" / name).read_text()
    for path in ("/var/lib/perjoule", "/etc/perjoule", "/etc/systemd/system", "/run/systemd/system"):
        text = text.replace(path, f"{directory}{path}")
    script = directory / name
    script.write_text(text)
    return script, {"PATH": f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin"}


def purge_of_a_mount_point(_, directory):
    """/var/lib/perjoule on a file system of its own is emptied, and the user goes whatever stays."""
    script, environment = script_with(directory, "postrm")
    state = directory / "var/lib/perjoule"
    state.mkdir(parents=True)
    (directory / "etc/perjoule").mkdir(parents=True)
    purge = f"touch {state}/ledger.db; sh {script} purge; echo code $?; ls -A {state} | wc -l"
    ended = run(["unshare", "--mount", "sh", "-c", f"mount -t tmpfs none {state} && {{ {purge}; }}"],
                environment=environment)
    if ended.returncode != 0:
        raise Skip(f"cannot mount a file system: {ended.stderr.strip()}")
    equal(ended.stdout.split(), ["code", "0", "0"], f"the purge: {ended.stderr}")
    calls = (directory / "calls").read_text()
    check("userdel perjoule" in calls and "groupdel perjoule" in calls, calls)
    check(not (directory / "etc/perjoule").exists(), "the configuration stays")


def configuration_is_not_for_everybody(_, directory):
    script, environment = script_with(directory, "postinst")
    config = directory / "etc/perjoule/perjoule.json"
    config.parent.mkdir(parents=True)
    config.write_text("{}")
    config.chmod(0o644)
    ended = run(["sh", script, "configure", ""], environment=environment)
    equal(ended.returncode, 0, ended.stderr)
    equal(stat.S_IMODE(config.stat().st_mode), 0o640, "mode of perjoule.json")
    calls = (directory / "calls").read_text()
    check(f"chown root:perjoule {config}" in calls, calls)
    check(calls.index("systemd-sysusers") < calls.index("chown"), "the group exists first")


if __name__ == "__main__":
    sys.exit(main([verify, scores, package, unit_grants, purge_of_a_mount_point,
                   configuration_is_not_for_everybody]))
