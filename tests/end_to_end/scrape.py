#!/usr/bin/env python3
"""A scrape of the running daemon on the host of the test, and the answers of the other paths."""
import collections
import pathlib
import subprocess
import sys

from harness import OPENMETRICS, Daemon, check, equal, main


def families_of_the_host(binary, directory):
    with Daemon(binary, directory) as daemon:
        scrape = daemon.scrape_until(lambda seen: seen["perjoule_node_energy_joules_total"], "a commit")
        utilization = [value for _, value in scrape["perjoule_cpu_utilization_ratio"]]
        check(utilization and all(0 <= value <= 1 for value in utilization), f"utilisation {utilization}")
        has_rapl = any(pathlib.Path("/sys/class/powercap").glob("intel-rapl*:*/energy_uj"))
        sources = [labels["source"] for labels, value in scrape["perjoule_node_power_watts"] if value > 0]
        equal(len(sources), 1, f"node power has one source {sources}")
        if not has_rapl:
            equal(sources, ["modelled"], "source of the node's power")
        origin = {"modelled": "modelled", "sum": "counter"}.get(sources[0])
        first = scrape.value("perjoule_node_energy_joules_total", source=sources[0])
        later = daemon.scrape_until(
            lambda seen: seen.value("perjoule_node_energy_joules_total", source=sources[0]) > first, "energy grows")
        for labels, value in later["perjoule_energy_by_source_joules_total"]:
            check(value >= 0, f"{labels}: {value}")
        if origin:
            check(later.value("perjoule_energy_by_source_joules_total", device="node", source=origin) > first,
                  "the node's energy by source")
        for source in ("cpu", "rapl", "hwmon", "thermal_zone", "power_model", "textfile"):
            check([1 for labels, value in later["perjoule_source_state"] if labels["source"] == source and value == 1],
                  f"{source} has a state")
        equal(later.state("cpu"), "ok", "state of cpu")
        equal(later.value("perjoule_collector_missed_ticks_total", source="cpu"), 0, "missed ticks of cpu")


def accepted_by_others(binary, directory):
    from prometheus_client.openmetrics import parser

    with Daemon(binary, directory) as daemon:
        daemon.scrape_until(lambda seen: seen["perjoule_node_energy_joules_total"], "a commit")
        text = daemon.scrape()
        lint = subprocess.run(["promtool", "check", "metrics"], input=text.text, capture_output=True, text=True,
                              timeout=20, check=False)
        equal((lint.returncode, lint.stdout, lint.stderr), (0, "", ""), "promtool check metrics")
        repeated = [series for series, count in collections.Counter(text.series).items() if count > 1]
        equal(repeated, [], "lines with the same name and labels")

        status, headers, body = daemon.get("/metrics", {"Accept": OPENMETRICS})
        equal(status, 200, "OpenMetrics")
        check(headers["Content-Type"].startswith(OPENMETRICS), headers["Content-Type"])
        families = {family.name: family for family in parser.text_string_to_metric_families(body.decode())}
        equal(families["perjoule_node_energy_joules"].type, "counter", "type of the node's energy")
        equal(families["perjoule_node_energy_joules"].unit, "joules", "unit of the node's energy")
        check(body.endswith(b"# EOF\n"), "OpenMetrics ends with # EOF")
        check(b"# EOF" not in text.text.encode(), "the text format has no # EOF")
        status, headers, _ = daemon.get("/metrics")
        equal(headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8", "Content-Type without Accept")


def compression_and_filter(binary, directory):
    with Daemon(binary, directory) as daemon:
        # A rendering is reused for 100 ms, so at least one of a few pairs of scrapes has the same rendering.
        for _ in range(20):
            plain, packed = daemon.scrape().text, daemon.scrape(compressed=True).text
            if plain == packed:
                break
        equal(packed, plain, "gzip holds what identity holds")
        only = daemon.scrape("?collect[]=cpu")
        check("perjoule_cpu_utilization_ratio" in only.families, "collect[]=cpu shows the utilisation")
        for name in ("perjoule_node_power_watts", "perjoule_source_state", "process_cpu_seconds_total"):
            check(name not in only.families, f"collect[]=cpu shows {name}")
        both = daemon.scrape("?collect[]=cpu&collect[]=self")
        check("process_cpu_seconds_total" in both.families, "collect[]=self shows the daemon's own")
        packed = daemon.scrape("?collect[]=cpu", compressed=True)
        equal(packed.families.keys(), only.families.keys(), "filter with gzip")
        equal(daemon.get("/metrics?collect[]=nonsense")[0], 400, "an unknown collector")


def paths(binary, directory):
    with Daemon(binary, directory, "--no-storage", wait=False) as daemon:
        daemon.wait_listening()
        equal(daemon.get("/-/healthy")[0], 200, "healthy from the first moment")
        check(daemon.get("/-/ready")[0] in (200, 503), "ready answers")
        daemon.wait_ready()
        equal(daemon.get("/nonsense")[0], 404, "an unknown path")
        status, headers, _ = daemon.get("/metrics", method="POST")
        equal((status, headers["Allow"]), (405, "GET, HEAD"), "POST /metrics")
        equal(daemon.get("/-/healthy", method="POST")[0], 405, "POST /-/healthy")
        equal(daemon.get("/-/reload")[0], 405, "GET /-/reload")
        status, _, body = daemon.get("/-/reload", method="POST")
        equal(status, 403, "reload without --web.enable-lifecycle")
        check(b"--web.enable-lifecycle" in body, body)
        status, headers, body = daemon.get("/metrics", method="HEAD")
        equal((status, body), (200, b""), "HEAD /metrics")
        status, _, page = daemon.get("/")
        equal(status, 200, "the page")
        for word in (b"/metrics", b"power_model", b"textfile"):
            check(word in page, f"the page lacks {word}")
        equal(list(pathlib.Path(directory).glob("store*")), [], "files of --no-storage")


if __name__ == "__main__":
    sys.exit(main([families_of_the_host, accepted_by_others, compression_and_filter, paths]))
