"""Controls the stand-in of NVIDIA's library (tests/nvml/README.md) for tests with GPUs."""
import pathlib

from harness import REPOSITORY

PCI = ["18", "2a", "3a", "5d", "9a", "ab", "ba", "db"]


def uuid(board):
    return f"GPU-00000100-57a1-4d1e-9e0{board}-{board:012d}"


class StandIn:
    def __init__(self, binary, directory, scenario):
        self.library = pathlib.Path(binary).parent / "tests/nvml/libnvidia-ml.so.1"
        self.scenario = REPOSITORY / "tests/fixtures/nvml" / f"{scenario}.json"
        self.directory = pathlib.Path(directory) / "control"
        self.directory.mkdir(exist_ok=True)
        self.epoch = pathlib.Path(directory) / "epoch"  # second 0 of the scenario, over restarts of the daemon
        self.epoch.touch()

    @property
    def flags(self):
        return [f"--path.nvml={self.library}"]

    @property
    def environment(self):
        return {"PERJOULE_NVML_SCENARIO": str(self.scenario), "NVML_STAND_IN_CONTROL": str(self.directory),
                "NVML_STAND_IN_EPOCH": str(self.epoch)}

    def begin(self, name):
        (self.directory / name).touch()

    def end(self, name):
        (self.directory / name).unlink()


def on_bus(tree, boards, driver="nvidia"):
    """Writes PCI functions to the fixture's sysfs, in the kernel's layout."""
    for board in boards:
        function = f"bus/pci/devices/0000:{PCI[board]}:00.0"
        tree.put(f"{function}/vendor", "0x10de")
        tree.put(f"{function}/class", "0x030200")
        link = tree.sysfs / function / "driver"
        if not link.is_symlink():
            link.symlink_to(f"../../../../bus/pci/drivers/{driver}")


def counters(scrape):
    """Every total of a GPU that is persisted: name and labels -> value."""
    found = {}
    for name, series in scrape.families.items():
        if name.endswith("_total") and name.startswith(("perjoule_gpu_", "perjoule_energy_by_source")):
            for labels, value in series:
                found[(name, *sorted(labels.items()))] = value
    return found
