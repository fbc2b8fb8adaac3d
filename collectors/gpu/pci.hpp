// GPUs on the PCI bus, found without calling their driver and without waking one that is runtime-suspended. Reads
// sysfs; lanes only. Sources: Documentation/ABI/testing/sysfs-bus-pci, sysfs-devices-power (runtime_status).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace perjoule::pci {

struct Function {
  std::string address;                   // "0000:1b:00.0"
  std::filesystem::path runtime_status;  // empty where the kernel has none
  bool asleep = false;                   // runtime-suspended: any access would wake it
};

// Display and 3D controllers (class 0x0300, 0x0302) of a vendor ("0x10de") that are bound to `driver` or to no driver,
// sorted by address, at most 256. Left out: those bound to another driver (vfio-pci: passed to a virtual machine) and
// SR-IOV virtual functions.
[[nodiscard]] std::vector<Function> gpus(const std::filesystem::path& sysfs, std::string_view vendor,
                                         std::string_view driver);

}  // namespace perjoule::pci
