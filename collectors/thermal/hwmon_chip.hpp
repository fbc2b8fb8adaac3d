// The sensor chips of a host: their directories, their labels, and the roles of their sensors.
//
// find_chips lists directories and reads name files (regular files only): lanes only. The rest is pure. Directories
// that cannot be read are left out; they are not an error.
// Source: Documentation/hwmon/sysfs-interface.rst.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace perjoule {

struct Chip {
  std::filesystem::path directory;  // holds the attributes: hwmonN, or hwmonN/device with old drivers
  std::string name;                 // of the driver, from the file `name`: "nvme"; may be empty
  std::string label;                // unique on this host, stable over reboots: "nvme-0000:01:00.0"
  std::string former_label;         // as 0.1.0 named it, until the next reboot: "drivetemp-0:0:0:0"
};

// The chips in class/hwmon, or, where that does not exist, in the hwmonN directories below devices/ (at most 12 deep,
// 20,000 entries). At most 1024 chips.
[[nodiscard]] std::vector<Chip> find_chips(const std::filesystem::path& sysfs);

// NAME-ADDRESS ("nvme-0000:01:00.0"); the address alone where it begins with the name ("coretemp.0").
[[nodiscard]] std::string chip_label(std::string_view name, std::string_view address);

// cpu, inlet, outlet, board, nvme, nic, psu, gpu, node, other. `sensor` is the channel's label, or "" without one.
[[nodiscard]] std::string_view temperature_role(std::string_view chip, std::string_view sensor);
// node, psu_in, psu_out, cpu, gpu, nic, nvme, other.
[[nodiscard]] std::string_view power_role(std::string_view chip, std::string_view sensor);

}  // namespace perjoule
