#!/usr/bin/env python3
"""What nvidia-smi shows is what perjoule shows: `nvidia-smi -q` becomes a scenario (tests/nvml/from_smi.py), the
stand-in plays it, and every value that both have is equal in base units; what is N/A has no series.

It is done for an imaginary host and, where they are there, for captures of real boards; the latter also have the table
of --query-gpu, and what nvidia_gpu_exporter made of it. Nothing is read with the code of from_smi.py here.
"""
import concurrent.futures
import csv
import json
import pathlib
import re
import sys
from decimal import Decimal
from typing import NamedTuple

from harness import REPOSITORY, Scrape, Skip, check, equal, main, run, said
from stand_in import StandIn

FROM_SMI = REPOSITORY / "tests/nvml/from_smi.py"
IMAGINARY = REPOSITORY / "tests/fixtures/nvml/imaginary.smi.txt"
CAPTURES = REPOSITORY.parent / "shared/data/gpu/captures"
MEGA, MIB, PERCENT = Decimal(10) ** 6, Decimal(1 << 20), Decimal("0.01")
SAME, REASON = Decimal(1), None  # REASON: Active is 1, Not Active 0
ABSENT = (None, "N/A", "[N/A]", "[Not Supported]")


class Row(NamedTuple):
    """One series of perjoule's, and where it is in -q, --query-gpu and nvidia_gpu_exporter. "": it is not there."""
    family: str
    label: str  # the third label after gpu and uuid, "" without one
    paths: tuple  # the names in -q of several drivers
    column: str
    exporter: str
    factor: Decimal


POWER, CEILING = "GPU Power Readings/", "GPU Power Readings/GPU Ceiling Power Limit/"
DRAWS = (POWER + "Average Power Draw", POWER + "Instantaneous Power Draw", POWER + "Power Draw")
HW = "HW Slowdown/HW "


def row(family, label, paths, column="", exporter="", factor=SAME):
    return Row(f"perjoule_gpu_{family}", label, (paths,) if isinstance(paths, str) else paths, column, exporter, factor)


def reason(label, path, column):
    family = "throttle_active" if label else "clock_idle_active"
    return row(family, label, f"Clocks Event Reasons/{path}", f"clocks_event_reasons.{column}",
               f"clocks_event_reasons_{column}", REASON)


def engine(name, path):
    return row("engine_utilization_ratio", name, f"Utilization/{path}", f"utilization.{name}",
               f"utilization_{name}_ratio", PERCENT)


def limit_of(name, word, column, exporter):
    paths = (f"{CEILING}{word} Power Limit", f"{POWER}{word} Power Limit")
    return row(f"power_limit{name}_watts", "", paths, column, exporter)


TABLE = [
    # Without a mean perjoule shows the instantaneous reading for it, as power.draw does.
    row("power_watts", "", DRAWS, "power.draw", "power_draw_watts"),
    row("power_instant_watts", "", DRAWS[1], "power.draw.instant", "power_draw_instant_watts"),
    row("module_power_watts", "", "Module Power Readings/Instantaneous Power Draw", "module.power.draw.instant",
        "module_power_draw_instant_watts"),
    limit_of("", "Current", "enforced.power.limit", "enforced_power_limit_watts"),
    limit_of("_default", "Default", "power.default_limit", "power_default_limit_watts"),
    limit_of("_min", "Min", "power.min_limit", "power_min_limit_watts"),
    limit_of("_max", "Max", "power.max_limit", "power_max_limit_watts"),
    row("temperature_celsius", "core", "Temperature/GPU Current Temp", "temperature.gpu", "temperature_gpu"),
    row("temperature_celsius", "memory", "Temperature/Memory Current Temp", "temperature.memory",
        "temperature_memory"),
    row("temperature_limit_celsius", "core slowdown", "Temperature/GPU Slowdown Temp"),
    row("temperature_limit_celsius", "core shutdown", "Temperature/GPU Shutdown Temp"),
    row("temperature_limit_celsius", "core max_operating", "Temperature/GPU Max Operating Temp"),
    row("temperature_limit_celsius", "memory max_operating", "Temperature/Memory Max Operating Temp"),
    # perjoule counts from the slowdown: see margin().
    row("thermal_margin_celsius", "", ("Temperature/GPU T.Limit Temp", "Temperature/GPU Current T.Limit Temp"),
        "temperature.gpu.tlimit", "temperature_gpu_tlimit"),
    row("utilization_ratio", "", "Utilization/GPU", "utilization.gpu", "utilization_gpu_ratio", PERCENT),
    engine("memory", "Memory"),
    engine("encoder", "Encoder"),
    engine("decoder", "Decoder"),
    engine("jpeg", "JPEG"),
    engine("ofa", "OFA"),
    row("memory_total_bytes", "", "FB Memory Usage/Total", "memory.total", "memory_total_bytes", MIB),
    row("memory_used_bytes", "", "FB Memory Usage/Used", "memory.used", "memory_used_bytes", MIB),
    row("clock_hertz", "sm", "Clocks/SM", "clocks.current.sm", "clocks_current_sm_clock_hz", MEGA),
    row("clock_hertz", "memory", "Clocks/Memory", "clocks.current.memory", "clocks_current_memory_clock_hz", MEGA),
    row("clock_hertz", "video", "Clocks/Video", "clocks.current.video", "clocks_current_video_clock_hz", MEGA),
    reason("", "Idle", "gpu_idle"),
    reason("sw_power_cap", "SW Power Cap", "sw_power_cap"),
    reason("sw_thermal", "SW Thermal Slowdown", "sw_thermal_slowdown"),
    reason("hw_thermal", f"{HW}Thermal Slowdown", "hw_thermal_slowdown"),
    reason("hw_power_brake", f"{HW}Power Brake Slowdown", "hw_power_brake_slowdown"),
    reason("sync_boost", "Sync Boost", "sync_boost"),
    reason("hw_slowdown", "HW Slowdown", "hw_slowdown"),  # see shown_otherwise()
]
INFO = {"name": ("Product Name", "name"), "vbios_version": ("VBIOS Version", "vbios_version"),
        "pci_bus_id": ("PCI/Bus Id", "pci.bus_id"), "uuid": ("GPU UUID", "uuid"),
        "driver_version": ("KMD Version", "Driver Version", "driver_version")}
# The others are totals since perjoule began, and what it makes of these values.
FAMILIES = {row_.family for row_ in TABLE} | {"perjoule_gpu_processes"}


class State(NamedTuple):
    """A board as -q or the table shows it. `values`: path or column -> what is written there."""
    name: str
    values: dict
    processes: object  # their number, None where it is not said
    exporter: object = None  # what nvidia_gpu_exporter made of it: name -> number


class Figures:
    """`absent`: series that are not there because the value is N/A; `unnamed`: because nvidia-smi does not name it
    there, or, of HW Slowdown, because the two exact reasons are shown."""

    def __init__(self):
        self.states = self.values = self.absent = self.unnamed = self.exporter = 0
        self.names = set()  # of the fields that were there

    @property
    def counts(self):
        return self.states, self.values, self.absent, self.unnamed

    def __str__(self):
        return (f"{self.states} states, {self.values} values equal ({self.exporter} also to nvidia_gpu_exporter's), "
                f"{self.absent} absent as they are N/A, {self.unnamed} absent without a field")


def fields_of(text):
    """Path and text of each value of a part of -q."""
    above = {}  # indent -> the name that the lines indented deeper are below
    for line in filter(str.strip, text.splitlines()):
        name, colon, value = (word.strip() for word in line.partition(" : "))
        indent = len(line) - len(line.lstrip())
        above = {depth: other for depth, other in above.items() if depth < indent} | {indent: name}
        if colon:
            yield "/".join(above[depth] for depth in sorted(above)), value


def log_states(name, text):
    """The boards of a -q, each with the fields above the first of them."""
    head, *boards = re.split(r"(?m)^GPU [0-9A-F]{8}:.*\n", text)
    states = []
    for board in boards:
        values, kinds = dict(fields_of(head)), []
        for path, value in fields_of(board):
            values.setdefault(path, value)
            kinds += [value] if path == "Processes/Process ID/Type" else []
        listed = kinds or values.get("Processes") == "None"
        # Types are C, G, C+G and M+C.
        states.append(State(name, values, sum("C" in kind for kind in kinds) if listed else None))
    return states


def table_state(name, text, exporter):
    columns, values = list(csv.reader(text.strip().splitlines(), skipinitialspace=True))
    shown = {}
    for line in exporter.splitlines():
        if line.startswith("nvidia_smi_"):
            series, _, value = line.rpartition(" ")
            shown[series.partition("{")[0].removeprefix("nvidia_smi_")] = Decimal(value)
    fields = {column.split(" [")[0]: value for column, value in zip(columns, values)}
    return State(name, fields, None, {key: float(value) for key, value in shown.items()})


def number(text, factor):
    """In base units; None for what nvidia-smi does not have."""
    if text in ABSENT:
        return None
    if factor is REASON:
        check(text in ("Active", "Not Active"), f"not a reason: {text}")
        return 1.0 if text == "Active" else 0.0
    return float(Decimal(text.split()[0]) * factor)


def first(values, names):
    """The first that is not N/A."""
    return next((values[name] for name in names if values.get(name) not in ABSENT), None)


def shown_otherwise(state, row_, value):
    """What perjoule shows for a value that it does not show as it is."""
    values = state.values
    if row_.family == "perjoule_gpu_thermal_margin_celsius":
        return margin(values, value)
    # Boards with the two exact reasons only repeat them in the general one.
    exact = [first(values, row.paths + (row.column,)) for row in TABLE if row.label in ("hw_thermal", "hw_power_brake")]
    return None if row_.label == "hw_slowdown" and exact != [None, None] else value


def margin(values, limit):
    """Degrees until the slowdown, from the scale of T.Limit or else from the two temperatures."""
    if limit is not None:
        return limit - (number(values.get("Temperature/GPU Slowdown T.Limit Temp"), SAME) or 0)
    slowdown = number(values.get("Temperature/GPU Slowdown Temp"), SAME)
    core = number(values.get("Temperature/GPU Current Temp"), SAME)
    return None if slowdown is None or core is None else slowdown - core


def expected(state, figures):
    """(family, label) -> the value, None for a series that must not be there."""
    series = {}
    for row_ in TABLE:
        names = [name for name in (*row_.paths, row_.column) if name in state.values]
        figures.names.update(names)
        value = number(first(state.values, names), row_.factor)
        if row_.exporter and state.exporter is not None:
            equal(value, state.exporter.get(row_.exporter), f"{state.name}: {row_.exporter}")
            figures.exporter += value is not None
        shown = series[row_.family, row_.label] = shown_otherwise(state, row_, value)
        figures.values += shown is not None
        figures.absent += shown is None and value is None and bool(names)
        figures.unnamed += shown is None and (value is not None or not names)
    series["perjoule_gpu_processes", ""] = state.processes
    figures.values += state.processes is not None
    figures.unnamed += state.processes is None
    return series


def compare(state, seen, slot, figures):
    """Every series of one board, both ways."""
    wanted = expected(state, figures)
    have = {}
    for family in FAMILIES:
        for labels, value in seen[family]:
            if labels["gpu"] == str(slot):
                rest = [labels[name] for name in labels if name not in ("gpu", "uuid")]
                have[family, " ".join(rest)] = value
    for series in sorted(wanted | have):
        equal(have.get(series), wanted.get(series), f"{state.name}, GPU {slot}: {series}")
    figures.states += 1
    energy = seen.find("perjoule_gpu_energy_joules_total", gpu=str(slot))
    equal(energy is None, wanted["perjoule_gpu_power_watts", ""] is None, f"{state.name}: energy without power")
    info = [labels for labels, _ in seen["perjoule_gpu_info"] if labels["gpu"] == str(slot)][0]
    for label, names in INFO.items():
        text = (first(state.values, names) or "").split(" [")[0]
        text = re.sub("^0000", "", text).lower() if label == "pci_bus_id" else text
        equal(info[label], text, f"{state.name}: {label}")


def from_smi(directory, text):
    (directory / "smi.txt").write_text(text)
    return run([sys.executable, FROM_SMI, directory / "smi.txt"])


def scenario_of(directory, text):
    ended = from_smi(directory, text)
    equal((ended.returncode, ended.stderr), (0, ""), "from_smi.py")
    return ended.stdout


def once(binary, directory, text):
    """What perjoule shows of a host whose nvidia-smi printed `text`."""
    directory.mkdir()
    gpus = StandIn(binary, directory, "none")
    gpus.scenario = directory / "scenario.json"
    gpus.scenario.write_text(scenario_of(directory, text))
    environment = gpus.environment
    environment.pop("NVML_STAND_IN_EPOCH")  # each run begins at second 0
    ended = run([binary, "once", "--format=prometheus", "--no-storage", f"--path.sysfs={directory}", *gpus.flags],
                environment=environment)
    equal((ended.returncode, said(ended)), (0, ""), f"once of {directory.name}")
    return Scrape(ended.stdout)


def play(binary, directory, printed):
    """`printed`: name -> (what nvidia-smi printed, its states). Returns the figures of all."""
    figures = Figures()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        runs = {name: pool.submit(once, binary, directory / name, text) for name, (text, _) in printed.items()}
    for name, (_, states) in printed.items():
        seen = runs[name].result()
        equal(seen.value("perjoule_gpus"), len(states), f"GPUs of {name}")
        for slot, state in enumerate(states):
            compare(state, seen, slot, figures)
        faults = [value for labels, value in seen["perjoule_collector_faults_total"] if labels["source"] == "nvml"]
        equal(faults, [0] * len(states), f"faults of {name}")
    print(f"    {figures}")
    return figures


def imaginary(binary, directory):
    """Two boards, one that has everything, one with N/A in each section."""
    text = IMAGINARY.read_text()
    states = log_states("imaginary", text)
    figures = play(binary, directory, {"imaginary": (text, states)})
    equal([state.processes for state in states], [3, 0], "compute processes")
    equal(figures.counts, (2, 52, 9, 5), "figures")


def nothing(binary, directory):
    """A board of which nvidia-smi knows only the temperature, and one of which it knows the clocks."""
    keep = r"(?! |GPU Current Temp|SM )"
    text = re.sub(rf"(?m)^( +{keep}[^:\n]+ : )(?:[\d.-]+ (?:W|C|%|MHz|MiB|us)|(?:Not )?Active)$", r"\1N/A",
                  IMAGINARY.read_text())
    figures = play(binary, directory, {"nothing": (text, log_states("nothing", text))})
    equal(figures.counts, (2, 6, 56, 4), "figures")


def older_drivers(binary, directory):
    """Names that fields had in -q before drivers 530 and 535, with one reading of the power."""
    text = IMAGINARY.read_text()
    for new, old in (("Clocks Event Reasons", "Clocks Throttle Reasons"), ("GPU     ", "Gpu     "),
                     ("    GPU Power Readings", "    Power Readings"), ("Average Power Draw", "Power Draw        "),
                     ("Current Power Limit ", "Enforced Power Limit")):
        text = text.replace(new, old)
    text = re.sub(r"(?m)^ +(Instantaneous Power Draw|GPU Ceiling Power Limit|JPEG|OFA) .*\n", "", text)
    text = re.sub(r"(?m)^ +GPU Ceiling Power Limit\n", "", text).replace("            Enforced", "        Enforced")
    text = text.replace("            Default Power", "        Default Power")
    seen = once(binary, directory / "older", text)
    for family, label, value in (("power_watts", {}, 612.34), ("power_limit_watts", {}, 650),
                                 ("power_limit_default_watts", {}, 690), ("utilization_ratio", {}, 0.97),
                                 ("throttle_active", {"reason": "sw_power_cap"}, 1)):
        equal(seen.value(f"perjoule_gpu_{family}", gpu="0", **label), value, family)
    equal(seen.find("perjoule_gpu_power_instant_watts", gpu="0"), None, "one reading of the power")
    equal(seen.find("perjoule_gpu_power_watts", gpu="1"), None, "the power of the second board")


def errors(binary, directory):
    """A reading that fails is a fault of that reading; what nvidia-smi does not print is refused."""
    text = IMAGINARY.read_text().replace(": 83 C", ": Unknown Error")
    seen = once(binary, directory / "error", text)
    equal(seen.find("perjoule_gpu_temperature_celsius", gpu="0", sensor="memory"), None, "a reading that failed")
    equal(seen.value("perjoule_gpu_temperature_celsius", gpu="0", sensor="core"), 71, "the next one")
    check(seen.value("perjoule_collector_faults_total", source="nvml", gpu="0") > 0, "faults")
    for bad, why in ((text.replace(": 71 C", ": 344 K"), "Temperature/GPU Current Temp: not a number"),
                     (text.replace(": Active", ": Perhaps"), "neither Active nor Not Active"),
                     ("", "neither the output"), (re.sub(r"(?m)^ +GPU UUID.*\n", "", text), "no UUID"),
                     ("a,uuid\n1\n", "1 values of 2 columns")):
        ended = from_smi(directory, bad)
        equal((ended.returncode, ended.stdout), (1, ""), why)
        check(why in ended.stderr and ended.stderr.count("\n") == 1, ended.stderr)


def identity(_, directory):
    """Boards whose UUIDs were masked get one each; what a power reading is, follows from the architecture."""
    text = re.sub(r"GPU-[0-9a-f-]{36}", "GPU-00000000-0000-0000-0000-000000000000", IMAGINARY.read_text())
    text = text.replace("Turing", "Pascal").replace("Hopper", "Ampere").replace("Imaginary Module M1", "NVIDIA A100")
    first_, second = json.loads(scenario_of(directory, text))["gpus"]
    check(first_["uuid"] != second["uuid"], first_["uuid"])
    equal((first_["architecture"], first_["compute_capability"], first_["usage_is_mean"]), (7, [8, 0], False), "GA100")
    equal((first_.get("energy"), second["energy"]), (None, {"error": 3}), "energy counters")
    equal((first_["power"], second["power"]), (612.34, 17.03), "the power that the counter is the integral of")
    equal((first_["counts_in_fields"], second["counts_in_fields"]), (True, False), "throttle times")
    equal((first_["memory_reserved"], second["memory_reserved"]), (611 << 20, 150 << 20), "memory that is reserved")
    first_ = json.loads(scenario_of(directory, text.replace("A100", "A40")))["gpus"][0]
    equal((first_["compute_capability"], first_["usage_is_mean"]), ([8, 6], True), "GA102")


def section(text, moment, kind):
    """A section of a capture, without its frame of #."""
    found = re.search(rf"(?m)^# {moment} :: {re.escape(kind)}.*\n# \$ .*\n#+\n((?:(?!####).*\n)*)", text)
    check(found, f"no section {moment} :: {kind}")
    return found[1]


def captures(binary, directory):
    """Each board idle and under load, from -q and from --query-gpu."""
    files = sorted(CAPTURES.glob("*.txt"))
    if not files:
        raise Skip(f"needs the captures {CAPTURES}")
    printed = {}
    for number_, file in enumerate(files):
        text = file.read_text()
        for moment in ("idle", "load"):
            name = f"{number_}-{moment}"
            log, table = section(text, moment, "query (-q)"), section(text, moment, "query-gpu")
            printed[f"{name}-q"] = (log, log_states(f"{file.name} {moment} -q", log))
            exporter = pathlib.Path(f"{file.with_suffix('')}__{moment}.metrics").read_text()
            printed[f"{name}-table"] = (table, [table_state(f"{file.name} {moment} --query-gpu", table, exporter)])
    figures = play(binary, directory, printed)
    equal(figures.states, 4 * len(files), "states")
    missed = [row_.family for row_ in TABLE if not figures.names.intersection(row_.paths)]
    missed += [row_.column for row_ in TABLE if row_.column and row_.column not in figures.names]
    equal(missed, [], "fields that no capture has")


if __name__ == "__main__":
    sys.exit(main([imaginary, nothing, older_drivers, errors, identity, captures]))
