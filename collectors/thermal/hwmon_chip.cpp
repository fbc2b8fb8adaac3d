#include "collectors/thermal/hwmon_chip.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <span>
#include <system_error>

#include "collectors/sysfs.hpp"
#include "collectors/thermal/hwmon_address.hpp"
#include "config/text.hpp"

namespace perjoule {

namespace {

constexpr std::size_t chips_max = 1024;
constexpr int walk_depth_max = 12;
constexpr std::size_t walk_entries_max = 20'000;

bool contains(std::string_view text, std::string_view word) {
  return text.find(word) != std::string_view::npos;
}

// The role of a chip, by the prefix of its driver's name.
using Drivers = std::span<const std::string_view>;

// On the die, or read by a BMC over PECI; ARM's thermal zone; drivers that measure the package's power.
constexpr auto cpu_drivers =
    std::to_array<std::string_view>({"coretemp", "k10temp", "k8temp", "cpu_thermal", "via_cputemp", "peci_cputemp",
                                     "peci-cputemp", "fam15h_power", "amd_energy", "zenpower"});
// drivetemp is SATA: the role "nvme" covers all storage devices.
constexpr auto nvme_drivers = std::to_array<std::string_view>({"nvme", "drivetemp"});
constexpr auto gpu_drivers = std::to_array<std::string_view>({"amdgpu", "radeon", "nouveau", "i915", "xe"});
// mlx is ConnectX, i350bb the name that igb gives its chip, sfp a transceiver.
constexpr auto nic_drivers = std::to_array<std::string_view>(
    {"mlx", "bnxt", "ixgbe", "igb", "i350bb", "ice", "i40e", "tg3", "sfp", "nfp", "hinic", "iwlwifi"});
// The ACPI meter measures the whole machine, unless its oem_info says otherwise (see power_role).
constexpr auto node_drivers = std::to_array<std::string_view>({"power_meter"});
// Delta dps, IBM cffps, Inspur ipsps, Acbel fsg, Bel pfe, common redundant supplies; pmbus is the generic driver.
constexpr auto psu_drivers =
    std::to_array<std::string_view>({"dps", "ibm-cffps", "cffps", "inspur-ipsps", "ipsps", "fsp", "fsg", "acbel", "pfe",
                                     "crps", "psu", "pmbus", "corsairpsu"});
// Super I/O, ACPI thermal zones, vendors' controllers, plain I2C sensors (role inlet if their label says so), chipsets.
constexpr auto board_drivers =
    std::to_array<std::string_view>({"nct", "it8", "f71", "w83", "acpitz", "asus", "dell", "lm75", "lm9", "tmp", "adt7",
                                     "max6", "emc", "pch", "ipmi", "surface"});
// Voltage regulators and hot-swap controllers have the labels pin and pout like a power supply, but are on the board
// behind it: counting them as supplies would count the node's power twice.
constexpr auto regulators = std::to_array<std::string_view>(
    {"xdpe", "isl", "raa", "tps", "mp2", "mp5", "ir3", "pxe", "lm25", "ltc", "adm", "max", "ucd", "ina"});

struct NamedRole {
  std::string_view role;
  Drivers drivers;
};
constexpr std::array<NamedRole, 7> roles = {{{"cpu", cpu_drivers},
                                             {"nvme", nvme_drivers},
                                             {"gpu", gpu_drivers},
                                             {"nic", nic_drivers},
                                             {"node", node_drivers},
                                             {"psu", psu_drivers},
                                             {"board", board_drivers}}};

bool begins_with_one(std::string_view chip, Drivers drivers) {
  return std::ranges::any_of(drivers, [chip](std::string_view prefix) { return chip.starts_with(prefix); });
}

std::string_view role_of_chip(std::string_view chip) {
  for (const NamedRole& row : roles) {
    if (begins_with_one(chip, row.drivers)) return row.role;
  }
  return contains(chip, "net") ? "nic" : "other";
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

// The path of a sysfs directory below devices/, relative to the root: entries of class/ are symlinks to it.
std::filesystem::path real_path(const std::filesystem::path& sysfs, const std::filesystem::path& directory) {
  std::error_code code;
  const std::filesystem::path root = std::filesystem::canonical(sysfs, code);
  const std::filesystem::path real = std::filesystem::canonical(directory, code);
  if (code || real.empty()) return {};
  return real.lexically_relative(root);
}

// Makes a label unique: LABEL, LABEL_2, LABEL_3.
void number(std::string& label, std::set<std::string>& used) {
  const std::string first = label;
  for (int n = 2; !used.insert(label).second; ++n)
    label = fmt::format("{}_{}", first, n);
}

}  // namespace

std::string chip_label(std::string_view name, std::string_view address) {
  if (address.empty()) return std::string(name.empty() ? "unnamed" : name);
  if (name.empty() || address.starts_with(name)) return std::string(address);
  return fmt::format("{}-{}", name, address);
}

std::string_view temperature_role(std::string_view chip_name, std::string_view sensor_label) {
  const std::string chip = text::lower(chip_name);
  const std::string sensor = text::lower(sensor_label);
  if (contains(sensor, "inlet") || contains(sensor, "ambient")) return "inlet";
  if (contains(sensor, "exhaust") || contains(sensor, "outlet")) return "outlet";
  if (begins_with_one(chip, regulators)) return "board";
  return role_of_chip(chip);
}

std::string_view power_role(std::string_view chip_name, std::string_view sensor_label) {
  const std::string chip = text::lower(chip_name);
  const std::string sensor = text::lower(sensor_label);
  const std::string_view role = role_of_chip(chip);
  if (role == "node") {
    // Grace's meters differ in oem_info: "Module Power Socket 0" includes "Grace Power" (CPU, memory and I/O), which
    // includes "CPU Power" and "SysIO Power".
    if (contains(sensor, "sysio") || contains(sensor, "module") || contains(sensor, "grace")) return "other";
    if (contains(sensor, "cpu")) return "cpu";
    return "node";
  }
  // amd_energy shows each core and also their socket, i915 the card and also its tiles: the parts get "other".
  if (sensor.starts_with("ecore") || chip.starts_with("i915_gt")) return "other";
  if (role == "cpu" || role == "gpu" || role == "nic" || role == "nvme") return role;
  if (begins_with_one(chip, regulators)) return "other";
  if (sensor == "pin" || sensor == "pin1") return "psu_in";
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
    const std::filesystem::path device = bus_address(real).empty() ? real_path(sysfs, directory / "device") : real;
    chip.label = chip_label(chip.name, device_address(sysfs, device));
    chip.former_label = chip_label(chip.name, bus_address(device));
    found.push_back({std::move(chip), real.parent_path().native()});
  }
  // Chips with equal labels are numbered in the order of their devices' paths, which follows the hardware and is stable
  // over reboots.
  std::ranges::stable_sort(found, {}, &Found::where);
  std::set<std::string> used;
  std::set<std::string> used_formerly;
  std::vector<Chip> chips;
  for (Found& entry : found) {
    number(entry.chip.label, used);
    number(entry.chip.former_label, used_formerly);
    chips.push_back(std::move(entry.chip));
  }
  return chips;
}

}  // namespace perjoule
