"""A RAPL package whose counter a test advances, and the totals of it on /metrics."""
import os

from harness import Tree, check, wait_for

FAST = ("--storage.commit=1s", "--collector.rapl.period=100ms")
PERSISTED = ("perjoule_cpu_package_energy_joules_total", "perjoule_node_energy_joules_total",
             "perjoule_energy_by_source_joules_total", "perjoule_energy_unobserved_seconds_total")


class Meter:
    """A package whose counter advances by `joules` at each call."""

    def __init__(self, directory):
        self.tree = Tree(directory)
        self.first = self.microjoules = 5_000_000
        # 1000 W allow 150 J between two readings 100 ms apart. At 300 W, 50 J in that time would count as a jump.
        self.file = self.tree.package(0, self.microjoules, watts=1000)

    def advance(self, joules=20.0):
        self.microjoules += round(joules * 1e6)
        with open(self.file, "r+b") as file:
            os.pwrite(file.fileno(), f"{self.microjoules}\n".encode(), 0)

    def joules(self):
        """The total of a daemon that has read every increment."""
        return (self.microjoules - self.first) / 1e6


def shown(daemon, meter):
    """Advances the meter until every persisted total is there; the node has power from the second reading on."""
    def look():
        meter.advance(1)
        seen = daemon.scrape()
        return seen if all(seen[name] for name in PERSISTED) else None

    return wait_for(look, "all totals", every=0.1)


def totals(scrape):
    return {(name, *sorted(labels.items())): value for name in PERSISTED for labels, value in scrape[name]}


def not_fallen(before, after):
    for key, value in totals(before).items():
        check(totals(after).get(key, -1) >= value, f"{key} fell from {value} to {totals(after).get(key)}")


def package_joules(scrape):
    return scrape.find("perjoule_cpu_package_energy_joules_total", package="0") or 0


def grown(daemon, meter, above):
    """Advances the meter until /metrics shows more than `above` joules."""
    def look():
        meter.advance(10)
        seen = daemon.scrape()
        return seen if package_joules(seen) > above else None

    return wait_for(look, f"more than {above} J", every=0.1)
