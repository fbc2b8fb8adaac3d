#!/usr/bin/env python3
"""Makes a scenario of the stand-in (README.md) from what nvidia-smi printed.

nvidia-smi -q | from_smi.py > scenario.json
from_smi.py FILE > scenario.json

Reads `nvidia-smi -q`, and `nvidia-smi --query-gpu=uuid,pci.bus_id,... --format=csv` (also with nounits). A value that
nvidia-smi shows as N/A, or does not show, is one that the board of the scenario does not support. Text that is neither
a number nor a word of nvidia-smi's is refused: exit code 1, and the place on stderr.
"""
import csv
import json
import re
import sys
from decimal import Decimal
from typing import NamedTuple

UNITS = {"": Decimal(1), "W": Decimal(1), "C": Decimal(1), "%": Decimal("0.01"), "MHz": Decimal(1000000),
         "MiB": Decimal(1 << 20), "us": Decimal("0.000001")}
# What nvidia-smi writes for the value that it could not read -> what NVML returned.
WORDS = {"N/A": 3, "Not Supported": 3, "Requested functionality has been deprecated": 3, "Function Not Found": 3,
         "Insufficient Permissions": 4, "GPU is lost": 15, "GPU requires reset": 16, "Unknown Error": 999, "ERR!": 999}
UNSUPPORTED = 3
ARCHITECTURES = {"Kepler": 2, "Maxwell": 3, "Pascal": 4, "Volta": 5, "Turing": 6, "Ampere": 7, "Ada": 8, "Hopper": 9,
                 "Blackwell": 10}
VOLTA, AMPERE, UNKNOWN = 5, 7, 0xFFFFFFFF
# Compute capability from which an architecture begins, newest first.
CAPABILITIES = [((10, 0), 10), ((9, 0), 9), ((8, 9), 8), ((8, 0), 7), ((7, 5), 6), ((7, 0), 5), ((6, 0), 4),
                ((5, 0), 3), ((3, 0), 2)]
GA100 = re.compile(r"\b(A100|A800|A30)\b")


class Refused(Exception):
    """The input is not what nvidia-smi prints; the message says where."""


class Field(NamedTuple):
    """A key of the scenario and where nvidia-smi shows it: the first name that is there, newest driver first."""
    key: str
    paths: tuple  # in -q: section/field
    columns: tuple  # in --query-gpu


class Reason(NamedTuple):
    key: str  # "": the scenario has no such reason, but the mask of those that are supported has its bit
    bit: int
    path: str  # below the section of the reasons
    column: str


LIMITS = "GPU Power Readings/GPU Ceiling Power Limit/"
READINGS = ("GPU Power Readings/", "Power Readings/")  # the second before driver 530


def power(*names):
    return tuple(section + name for name in names for section in READINGS)


FIELDS = [
    Field("power_average", power("Average Power Draw"), ("power.draw.average",)),
    Field("power_instant", power("Instantaneous Power Draw"), ("power.draw.instant",)),
    Field("draw", power("Power Draw"), ("power.draw",)),
    Field("module_power", ("Module Power Readings/Instantaneous Power Draw",), ("module.power.draw.instant",)),
    Field("power_limit", (LIMITS + "Current Power Limit", *power("Current Power Limit", "Enforced Power Limit",
                                                                "Power Limit")),
          ("enforced.power.limit", "power.limit")),
    Field("power_limit_default", (LIMITS + "Default Power Limit", *power("Default Power Limit")),
          ("power.default_limit",)),
    Field("power_limit_min", (LIMITS + "Min Power Limit", *power("Min Power Limit")), ("power.min_limit",)),
    Field("power_limit_max", (LIMITS + "Max Power Limit", *power("Max Power Limit")), ("power.max_limit",)),
    Field("temperature", ("Temperature/GPU Current Temp",), ("temperature.gpu",)),
    Field("memory_temperature", ("Temperature/Memory Current Temp",), ("temperature.memory",)),
    Field("slowdown", ("Temperature/GPU Slowdown Temp",), ()),
    Field("shutdown", ("Temperature/GPU Shutdown Temp",), ()),
    Field("core_max", ("Temperature/GPU Max Operating Temp",), ()),
    Field("memory_max", ("Temperature/Memory Max Operating Temp",), ()),
    Field("margin", ("Temperature/GPU Current T.Limit Temp", "Temperature/GPU T.Limit Temp"),
          ("temperature.gpu.tlimit",)),
    Field("margin_slowdown", ("Temperature/GPU Slowdown T.Limit Temp",), ()),
    Field("utilization", ("Utilization/GPU", "Utilization/Gpu"), ("utilization.gpu",)),
    Field("memory_utilization", ("Utilization/Memory",), ("utilization.memory",)),
    Field("encoder", ("Utilization/Encoder",), ("utilization.encoder",)),
    Field("decoder", ("Utilization/Decoder",), ("utilization.decoder",)),
    Field("jpeg", ("Utilization/JPEG",), ("utilization.jpeg",)),
    Field("ofa", ("Utilization/OFA",), ("utilization.ofa",)),
    Field("memory_total", ("FB Memory Usage/Total",), ("memory.total",)),
    Field("memory_reserved", ("FB Memory Usage/Reserved",), ("memory.reserved",)),
    Field("memory_used", ("FB Memory Usage/Used",), ("memory.used",)),
    Field("clock_sm", ("Clocks/SM",), ("clocks.current.sm", "clocks.sm")),
    Field("clock_memory", ("Clocks/Memory",), ("clocks.current.memory", "clocks.mem")),
    Field("clock_video", ("Clocks/Video",), ("clocks.current.video", "clocks.video")),
]
REASONS = [
    Reason("idle", 0x1, "Idle", "gpu_idle"),
    Reason("", 0x2, "Applications Clocks Setting", "applications_clocks_setting"),
    Reason("sw_power_cap", 0x4, "SW Power Cap", "sw_power_cap"),
    Reason("hw_slowdown", 0x8, "HW Slowdown", "hw_slowdown"),
    Reason("sync_boost", 0x10, "Sync Boost", "sync_boost"),
    Reason("sw_thermal", 0x20, "SW Thermal Slowdown", "sw_thermal_slowdown"),
    Reason("hw_thermal", 0x40, "HW Slowdown/HW Thermal Slowdown", "hw_thermal_slowdown"),
    Reason("hw_power_brake", 0x80, "HW Slowdown/HW Power Brake Slowdown", "hw_power_brake_slowdown"),
    Reason("", 0x100, "Display Clock Setting", "display_clock_setting"),
]
REASON_SECTIONS = ("Clocks Event Reasons", "Clocks Throttle Reasons")  # the second before driver 535
REASON_COLUMNS = ("clocks_event_reasons", "clocks_throttle_reasons")
COUNTERS = ("Clocks Event Reasons Counters/SW Power Capping", "clocks_event_reasons_counters.sw_power_cap")


class Board:
    """What nvidia-smi shows of one GPU: the text of each path of -q or column of the table."""

    def __init__(self, name):
        self.name = name
        self.text = {}
        self.units = {}  # of columns whose values come without
        self.processes = None

    def find(self, names):
        """The first of `names` that is shown, and its text without brackets; (None, None) if none is."""
        for name in names:
            if name in self.text:
                text = self.text[name].strip()
                return name, text[1:-1] if text.startswith("[") and text.endswith("]") else text
        return None, None

    def words(self, names):
        """The text, or "" where nvidia-smi has none."""
        _, text = self.find(names)
        return "" if text is None or text in WORDS else text

    def quantity(self, names):
        """A value of the scenario in base units; None where the board does not have it."""
        name, text = self.find(names)
        if text is None:
            return None
        if text in WORDS:
            return None if WORDS[text] == UNSUPPORTED else {"error": WORDS[text]}
        match = re.fullmatch(r"(-?\d+(?:\.\d+)?) ?(\S*)", text)
        unit = match and (match[2] or self.units.get(name, ""))
        if not match or unit not in UNITS:
            raise Refused(f"{self.name}: {name}: not a number with a known unit: {text}")
        return plain(Decimal(match[1]) * UNITS[unit])

    def active(self, names):
        """Whether a reason is active, as 1 or 0; None where the board does not have it."""
        name, text = self.find(names)
        if text is None:
            return None
        if text in WORDS:
            return None if WORDS[text] == UNSUPPORTED else {"error": WORDS[text]}
        if text not in ("Active", "Not Active"):
            raise Refused(f"{self.name}: {name}: neither Active nor Not Active: {text}")
        return 1 if text == "Active" else 0


def plain(number):
    return int(number) if number == number.to_integral_value() else float(number)


def read_log(lines):
    """The head of -q as a Board of its own, and a Board for each GPU."""
    head, boards = Board("head"), []
    board, open_sections = head, []  # (indent, name) of the lines above that this one is below
    for line in lines:
        match = re.fullmatch(r"( *)(\S.*?)(?:\s+:(?: (.*))?)?\s*", line)
        if not match or line.startswith("="):
            continue
        indent, name, text = len(match[1]), match[2], match[3]
        if indent == 0 and re.match(r"GPU [0-9A-Fa-f]+:[0-9A-Fa-f]+:", name):
            board = Board(name)
            board.text["address"] = name.split()[1]
            boards.append(board)
            open_sections = []
            continue
        while open_sections and open_sections[-1][0] >= indent:
            open_sections.pop()
        open_sections.append((indent, name))
        path = "/".join(section for _, section in open_sections)
        if text is not None:
            board.text.setdefault(path, text)
        count_process(board, path, text)
    return head, boards


def count_process(board, path, text):
    """Types are C, G, C+G and M+C; NVML's list of compute processes has those with a C."""
    if path == "Processes":
        board.processes = 0 if text is None or text.strip() == "None" else None
    elif board.processes is not None and path.startswith("Processes/") and path.endswith("/Type"):
        board.processes += "C" in (text or "")


def read_table(lines):
    """A Board for each row of --query-gpu."""
    header, *rows = csv.reader(lines, skipinitialspace=True)
    boards = []
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise Refused(f"line {number}: {len(row)} values of {len(header)} columns")
        board = Board(f"line {number}")
        for column, text in zip(header, row):
            match = re.fullmatch(r"(\S+)(?: \[(\S+)\])?\s*", column)
            if not match:
                raise Refused(f"not the name of a column: {column}")
            board.text[match[1]] = text
            board.units[match[1]] = match[2] or ""
        boards.append(board)
    return boards


def architecture_of(board):
    """The architecture as NVML numbers it, and the compute capability. -q shows the first, the table the second."""
    if shown := re.fullmatch(r"(\d+)\.(\d+)", board.words(("compute_cap",))):
        capability = (int(shown[1]), int(shown[2]))
        return next((number for least, number in CAPABILITIES if capability >= least), UNKNOWN), capability
    number = ARCHITECTURES.get(board.words(("Product Architecture",)).split(" ")[0], UNKNOWN)
    if number == AMPERE and not GA100.search(board.words(("Product Name",))):
        return number, (8, 6)
    return number, next((least for least, have in CAPABILITIES if have == number), (0, 0))


def identity(board):
    uuid = board.words(("GPU UUID", "uuid"))
    address = re.fullmatch(r"([0-9A-Fa-f]+):([0-9A-Fa-f]+:[0-9A-Fa-f]+\.[0-9A-Fa-f])",
                           board.words(("PCI/Bus Id", "address", "pci.bus_id")))
    if not uuid or not address:
        raise Refused(f"{board.name}: no UUID or no PCI address")
    gpu = {"uuid": uuid, "pci": f"{int(address[1], 16):04x}:{address[2].lower()}"}
    for key, names in (("name", ("Product Name", "name")), ("vbios", ("VBIOS Version", "vbios_version"))):
        if text := board.words(names):
            gpu[key] = text
    number, capability = architecture_of(board)
    # As in collectors/gpu/nvml_gpu.cpp: GA100 and what came before Ampere give an instantaneous reading.
    mean = AMPERE <= number != UNKNOWN and capability != (8, 0)
    return gpu | {"architecture": number, "compute_capability": list(capability), "usage_is_mean": mean}


def add_power(gpu, values):
    """`power` is what the energy counter is the integral of; a counter itself is nowhere in nvidia-smi."""
    draw = values.pop("draw", None)  # nvmlDeviceGetPowerUsage: what drivers before 530 show, and no other value
    if "power_average" not in values and "power_instant" not in values and draw is not None:
        values["power_average" if gpu["usage_is_mean"] else "power_instant"] = draw
    mean = values.pop("power_average", {"error": UNSUPPORTED})
    instant = values.pop("power_instant", {"error": UNSUPPORTED})
    gpu |= {"power_average": mean, "power_instant": instant}
    known = [value for value in (mean, instant) if not isinstance(value, dict)]
    if known:
        gpu["power"] = known[0]
    if not known or gpu["architecture"] < VOLTA:
        gpu["energy"] = {"error": UNSUPPORTED}


def add_reasons(gpu, board):
    """Reasons that are N/A are those that the mask of supported ones lacks."""
    supported = 0
    for reason in REASONS:
        value = board.active([f"{section}/{reason.path}" for section in REASON_SECTIONS] +
                             [f"{prefix}.{reason.column}" for prefix in REASON_COLUMNS])
        if value is not None:
            supported |= reason.bit
            if reason.key:
                gpu[reason.key] = value
    _, mask = board.find([f"{prefix}.supported" for prefix in REASON_COLUMNS])
    if mask is not None and re.fullmatch(r"0x[0-9A-Fa-f]+", mask):
        supported = int(mask, 16)
    if supported:
        gpu["supported_reasons"] = supported
    else:
        gpu["idle"] = {"error": UNSUPPORTED}
    gpu["counts_in_fields"] = board.quantity(COUNTERS) is not None


def gpu_of(board):
    gpu = identity(board)
    values = {}
    for field in FIELDS:
        value = board.quantity(field.paths + field.columns)
        if value is not None:
            values[field.key] = value
    add_power(gpu, values)
    gpu.update(values)
    add_reasons(gpu, board)
    if board.processes is not None:
        gpu["processes"] = board.processes
    return gpu


def scenario_of(text):
    lines = [line for line in text.splitlines() if line.strip()]
    if any("NVSMI LOG" in line for line in lines):
        head, boards = read_log(lines)
        driver, when, what = head.words(("KMD Version", "Driver Version")), head.words(("Timestamp",)), "-q"
    elif lines and re.search(r"(^|, ?)uuid(,|$)", lines[0]):
        boards = read_table(lines)
        first = boards[0] if boards else Board("")
        driver, when, what = first.words(("driver_version",)), first.words(("timestamp",)), "--query-gpu"
    else:
        raise Refused("neither the output of nvidia-smi -q nor a table of --query-gpu with a column uuid")
    gpus = [gpu_of(board) for board in boards]
    if len({gpu["uuid"] for gpu in gpus}) < len(gpus):  # they were masked
        for number, gpu in enumerate(gpus):
            gpu["uuid"] = f"GPU-00000000-0000-0000-0000-{number:012d}"
    about = f"From nvidia-smi {what}{f' of {when}' if when else ''}."
    return {"about": about, "driver_version": driver.split(" ")[0], "gpus": gpus}


def main(words):
    if len(words) > 1 or any(word.startswith("-") and word != "-" for word in words):
        print(__doc__)
        return 2
    try:
        if words and words[0] != "-":
            with open(words[0], encoding="utf-8", errors="replace") as file:
                text = file.read()
        else:
            text = sys.stdin.buffer.read().decode(errors="replace")
        print(json.dumps(scenario_of(text), indent=2))
    except (OSError, Refused, csv.Error) as problem:
        print(f"from_smi.py: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
