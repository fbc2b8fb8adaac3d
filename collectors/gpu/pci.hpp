// GPUs as the PCI bus has them: found without a driver, and without waking one that sleeps. Reads sysfs; lanes only.
// Source: Documentation/ABI/testing/sysfs-bus-pci, sysfs-devices-power (runtime_status).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace perjoule::pci {

struct Function {
  std::string address;                   // "0000:1b:00.0"
  std::filesystem::path runtime_status;  // empty where the kernel has none
  bool asleep = false;                   // runtime suspended: a touch would wake it
};

// Display and 3D controllers (class 0x0300, 0x0302) of a vendor ("0x10de") that `driver` drives or none does, sorted by
// address. One that belongs to another driver (vfio-pci: given to a virtual machine) and virtual functions are not
// ours.
[[nodiscard]] std::vector<Function> gpus(const std::filesystem::path& sysfs, std::string_view vendor,
                                         std::string_view driver);

}  // namespace perjoule::pci
