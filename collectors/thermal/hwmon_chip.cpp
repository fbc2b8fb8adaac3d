#include "collectors/thermal/hwmon_chip.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <system_error>

#include "collectors/sysfs.hpp"

namespace perjoule {

namespace {

constexpr std::size_t chips_max = 1024;
constexpr int walk_depth_max = 12;
constexpr std::size_t walk_entries_max = 20'000;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool contains(std::string_view text, std::string_view word) {
  return text.find(word) != std::string_view::npos;
}

struct NamedRole {
  std::string_view prefix;  // of the chip's name
  std::string_view role;
};

// What a chip is by its driver. The first prefix that fits counts. Voltage regulators and hot-swap controllers have
// pin/pout labels like a power supply, but sit on the board behind it: their power is a part of the node's.
constexpr std::array<NamedRole, 59> chip_roles = {
    {
        {"coretemp", "cpu"},                           // Intel, on-die
        {"k10temp", "cpu"},                            // AMD since family 10h, on-die
        {"k8temp", "cpu"},       {"zenpower", "cpu"},  // AMD, out-of-tree driver with power
        {"fam15h_power", "cpu"}, {"amd_energy", "cpu"},
        {"cpu_thermal", "cpu"},                            // ARM thermal zones
        {"via_cputemp", "cpu"},  {"peci_cputemp", "cpu"},  // seen from a BMC
        {"peci-cputemp", "cpu"}, {"nvme", "nvme"},
        {"drivetemp", "nvme"},  // SATA: the role is "storage device" by its best known kind
        {"amdgpu", "gpu"},       {"radeon", "gpu"},
        {"nouveau", "gpu"},      {"i915", "gpu"},
        {"xe", "gpu"},           {"mlx", "nic"},  // ConnectX: mlx4, mlx5
        {"bnxt", "nic"},         {"ixgbe", "nic"},
        {"igb", "nic"},          {"i350bb", "nic"},  // igb's own name for it
        {"ice", "nic"},          {"i40e", "nic"},
        {"tg3", "nic"},          {"sfp", "nic"},  // transceivers
        {"nfp", "nic"},          {"hinic", "nic"},
        {"iwlwifi", "nic"},      {"power_meter", "node"},  // ACPI: the whole machine, unless oem_info says otherwise
        {"dps", "psu"},                                    // Delta
        {"ibm-cffps", "psu"},    {"cffps", "psu"},
        {"inspur-ipsps", "psu"}, {"ipsps", "psu"},
        {"fsp", "psu"},          {"fsg", "psu"},    // Acbel
        {"acbel", "psu"},        {"pfe", "psu"},    // Bel
        {"crps", "psu"},                            // common redundant power supply
        {"psu", "psu"},          {"pmbus", "psu"},  // the generic driver
        {"corsairpsu", "psu"},   {"nct", "board"},  // super I/O
        {"it8", "board"},        {"f71", "board"},
        {"w83", "board"},        {"acpitz", "board"},  // ACPI thermal zone
        {"asus", "board"},       {"dell", "board"},
        {"lm75", "board"},                          // board sensors; inlet where their label says so
        {"lm9", "board"},        {"tmp", "board"},  // TI TMP75, TMP421
        {"adt7", "board"},       {"max6", "board"},
        {"emc", "board"},        {"pch", "board"},  // Intel chipset
        {"ipmi", "board"},       {"surface", "board"},
    }};

constexpr std::array<std::string_view, 14> regulators = {"xdpe", "isl",  "raa", "tps", "mp2", "mp5", "ir3",
                                                         "pxe",  "lm25", "ltc", "adm", "max", "ucd", "ina"};

std::string_view role_of_chip(std::string_view chip) {
  for (const NamedRole& row : chip_roles) {
    if (chip.starts_with(row.prefix)) return row.role;
  }
  return contains(chip, "net") ? "nic" : "other";
}

bool is_regulator(std::string_view chip) {
  return std::ranges::any_of(regulators, [chip](std::string_view prefix) { return chip.starts_with(prefix); });
}

bool is_hwmon(std::string_view name) {
  if (!name.starts_with("hwmon") || name.size() == 5) return false;
  return name.find_first_not_of("0123456789", 5) == std::string_view::npos;
}

std::vector<std::filesystem::path> hwmon_directories(const std::filesystem::path& sysfs) {
  std::vector<std::filesystem::path> found;
  std::error_code code;
  if (const auto names = sysfs::list(sysfs / "class/hwmon")) {
    for (const std::string& name : *names) {
      if (is_hwmon(name)) found.push_back(sysfs / "class/hwmon" / name);
    }
    return found;
  }
  using Walk = std::filesystem::recursive_directory_iterator;
  Walk entry(sysfs / "devices", std::filesystem::directory_options::skip_permission_denied, code);
  for (std::size_t seen = 0; !code && entry != Walk() && seen < walk_entries_max; ++seen, entry.increment(code)) {
    std::error_code ignored;
    if (is_hwmon(entry->path().filename().native()) && entry->is_directory(ignored)) {
      found.push_back(entry->path());
      entry.disable_recursion_pending();
    }
    if (entry.depth() + 1 >= walk_depth_max) entry.disable_recursion_pending();
  }
  return found;
}

bool has_channels(const std::filesystem::path& directory) {
  const auto names = sysfs::list(directory);
  return names && std::ranges::any_of(*names, [](const std::string& name) {
           return name.ends_with("_input") || name.ends_with("_average");
         });
}

// Where a directory of sysfs really is, relative to the root; symlinks lead from class/ to devices/.
std::filesystem::path real_path(const std::filesystem::path& sysfs, const std::filesystem::path& directory) {
  std::error_code code;
  const std::filesystem::path root = std::filesystem::canonical(sysfs, code);
  const std::filesystem::path real = std::filesystem::canonical(directory, code);
  if (code || real.empty()) return {};
  return real.lexically_relative(root);
}

}  // namespace

std::string bus_address(const std::filesystem::path& relative) {
  std::string address;
  for (const std::filesystem::path& component : relative) {
    const std::string& name = component.native();
    const bool digit = name.find_first_of("0123456789") != std::string::npos;
    if (digit && name.find_first_of(":.-") != std::string::npos) address = name;
  }
  return address;
}

std::string chip_label(std::string_view name, std::string_view address) {
  if (address.empty()) return std::string(name.empty() ? "unnamed" : name);
  if (name.empty() || address.starts_with(name)) return std::string(address);
  return fmt::format("{}-{}", name, address);
}

std::string_view temperature_role(std::string_view chip_name, std::string_view sensor_label) {
  const std::string chip = lower(chip_name);
  const std::string sensor = lower(sensor_label);
  if (contains(sensor, "inlet") || contains(sensor, "ambient")) return "inlet";
  if (contains(sensor, "exhaust") || contains(sensor, "outlet")) return "outlet";
  if (is_regulator(chip)) return "board";
  return role_of_chip(chip);
}

std::string_view power_role(std::string_view chip_name, std::string_view sensor_label) {
  const std::string chip = lower(chip_name);
  const std::string sensor = lower(sensor_label);
  const std::string_view role = role_of_chip(chip);
  if (role == "node") {
    // Grace tells its meters apart by oem_info: "Module Power Socket 0" holds "Grace Power" (cpu, memory and I/O),
    // which holds "CPU Power" and "SysIO Power".
    if (contains(sensor, "sysio") || contains(sensor, "module") || contains(sensor, "grace")) return "other";
    if (contains(sensor, "cpu")) return "cpu";
    return "node";
  }
  // amd_energy shows each core and the socket that holds them; i915 the card and its tiles.
  if (sensor.starts_with("ecore") || chip.starts_with("i915_gt")) return "other";
  if (role == "cpu" || role == "gpu" || role == "nic" || role == "nvme") return role;
  if (is_regulator(chip)) return "other";
  if (sensor == "pin" || sensor == "iin" || sensor == "vin" || sensor == "pin1") return "psu_in";
  if (sensor.starts_with("pout")) return "psu_out";
  return "other";
}

std::vector<Chip> find_chips(const std::filesystem::path& sysfs) {
  struct Found {
    Chip chip;
    std::string where;
  };
  std::vector<Found> found;
  for (const std::filesystem::path& directory : hwmon_directories(sysfs)) {
    if (found.size() >= chips_max) break;
    const bool direct = has_channels(directory);
    if (!direct && !has_channels(directory / "device")) continue;
    Chip chip;
    chip.directory = direct ? directory : directory / "device";
    if (auto name = sysfs::read_text(directory / "name")) {
      chip.name = std::move(*name);
    } else if (auto old = sysfs::read_text(directory / "device/name")) {
      chip.name = std::move(*old);
    }
    const std::filesystem::path real = real_path(sysfs, directory);
    std::string address = bus_address(real);
    if (address.empty()) address = bus_address(real_path(sysfs, directory / "device"));
    chip.label = chip_label(chip.name, address);
    found.push_back({std::move(chip), real.parent_path().native()});
  }
  // Chips that would share a label are numbered in the order of their devices' paths, which is that of the hardware.
  std::ranges::stable_sort(found, {}, &Found::where);
  std::set<std::string> used;
  std::vector<Chip> chips;
  for (Found& entry : found) {
    const std::string label = entry.chip.label;
    for (int n = 2; !used.insert(entry.chip.label).second; ++n)
      entry.chip.label = fmt::format("{}_{}", label, n);
    chips.push_back(std::move(entry.chip));
  }
  return chips;
}

}  // namespace perjoule
