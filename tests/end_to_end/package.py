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


if __name__ == "__main__":
    sys.exit(main([verify, scores, package]))
