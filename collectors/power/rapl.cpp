// Energy of CPU packages, their parts, the memory and the platform, from the counters of the powercap driver (Intel
// RAPL, and AMD's under the same name).
//
// Sources: Documentation/power/powercap/powercap.rst; drivers/powercap/intel_rapl_common.c (zones are named
// "package-N", with several dies "package-N-die-M"; subzones "core", "uncore", "dram"; the platform "psys", on further
// packages "psys-N"). The counters are 32 bits wide in hardware units and run from 0 to max_energy_range_uj inclusive.
// `enabled` is about a zone's power limit only: a zone with enabled=0 still counts energy.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "collectors/collector.hpp"
#include "collectors/cpu_package.hpp"
#include "collectors/grant.hpp"
#include "collectors/power/metrics.hpp"
#include "collectors/sysfs.hpp"

namespace perjoule {

namespace {

constexpr std::size_t zones_max = 1024;
constexpr int constraints_max = 3;          // long_term, short_term, peak_power
constexpr std::uint64_t limits_every = 60;  // samples
constexpr double zone_watts_default = 1000;
constexpr double zone_watts_max = 5000;
constexpr double platform_watts_max = 20000;

constexpr auto core_energy = persisted_counter<Unit::joule>(
    "perjoule_cpu_core_energy_joules_total",
    "Energy of a package's cores (RAPL core, PP0); included in the package's energy.", "package");
constexpr auto core_power =
    gauge<Unit::watt>("perjoule_cpu_core_power_watts", "Mean power of a package's cores (RAPL core, PP0).", "package");
constexpr auto uncore_energy = persisted_counter<Unit::joule>(
    "perjoule_cpu_uncore_energy_joules_total",
    "Energy of a package's parts beside the cores, on most CPUs the graphics (RAPL uncore, PP1); included in the "
    "package's energy.",
    "package");
constexpr auto uncore_power =
    gauge<Unit::watt>("perjoule_cpu_uncore_power_watts",
                      "Mean power of a package's parts beside the cores (RAPL uncore, PP1).", "package");
constexpr auto dram_power = gauge<Unit::watt>("perjoule_dram_power_watts",
                                              "Mean power of the memory attached to a package (RAPL dram).", "package");
constexpr auto psys_power = gauge<Unit::watt>(
    "perjoule_psys_power_watts", "Mean power of the platform as its firmware measures it (RAPL psys).", "package");

using ZoneEnergy = Declared<Unit::joule, Kind::counter, 1>;

struct ZoneKind {
  std::string_view name;  // in the zone's name file; for psys also "psys-N"
  const ZoneEnergy* energy;
  const Metric* power;
};
constexpr std::array<ZoneKind, 3> subzone_kinds = {{{"core", &core_energy, &core_power},
                                                    {"uncore", &uncore_energy, &uncore_power},
                                                    {"dram", &dram_energy, &dram_power}}};
constexpr ZoneKind package_kind = {"package", nullptr, nullptr};  // its metrics also have the label `source`
constexpr ZoneKind psys_kind = {"psys", &psys_energy, &psys_power};

// The remedy for counters that only root may read. Built once per discovery.
std::string remedy_here(const Roots& roots) {
  return grant_command(roots, "CAP_DAC_READ_SEARCH", "00-no-rapl.conf") +
         " (sudo chmod a+r /sys/class/powercap/*/energy_uj does not survive a reboot)";
}

Error with_remedy(Error error, const std::string& remedy) {
  if (error.fault == Fault::denied) error.remedy = remedy;
  return error;
}

struct Zone {
  Zone(const ZoneKind& zone_kind, std::string zone_package, std::filesystem::path zone_directory)
      : kind(&zone_kind),
        package(std::move(zone_package)),
        device(fmt::format("{}-{}", zone_kind.name, package)),
        directory(std::move(zone_directory)),
        energy(directory / "energy_uj") {}

  const ZoneKind* kind;
  std::string package;  // "0", "1-die-0"
  std::string device;   // "dram-0"
  std::filesystem::path directory;
  sysfs::File energy;
  std::optional<std::uint64_t> wrap;  // known from the first sample on
  double rate_max = 0;
  std::uint64_t samples = 0;
};

// The largest power among the zone's constraints, for the plausibility gate. They change while the daemon runs: a cap
// may be in force when it starts. Reading one may fail (EIO, ENODATA) or give an empty line; a zone without any gets
// the default.
double plausible_watts(const Zone& zone) {
  const double most = zone.kind == &psys_kind ? platform_watts_max : zone_watts_max;
  double largest = 0;
  for (int i = 0; i < constraints_max; ++i) {
    for (const char* what : {"max_power_uw", "power_limit_uw"}) {
      const auto microwatts = sysfs::read_integer(zone.directory / fmt::format("constraint_{}_{}", i, what));
      if (microwatts && *microwatts > 0) largest = std::max(largest, watts_from_micro(*microwatts).value());
    }
  }
  if (largest <= 0) return zone.kind == &psys_kind ? most : zone_watts_default;
  return std::min(largest, most);
}

class Rapl final : public Collector {
 public:
  Rapl(std::vector<Zone> zones, std::string remedy) : zones_(std::move(zones)), remedy_(std::move(remedy)) {}

  Result<void> sample(Batch& batch) override {
    std::optional<Error> failure;
    for (Zone& zone : zones_) {
      const Result<void> read = sample(zone, batch, remedy_);
      if (read) {
        batch.ok();
        continue;
      }
      batch.fault(zone.device, read.error());
      // The error of a zone that fails is more useful than that of one that is absent.
      if (!failure || failure->fault == Fault::absent) failure = read.error();
    }
    if (failure && batch.readings().empty()) return *std::move(failure);
    return {};
  }

 private:
  static Result<void> sample(Zone& zone, Batch& batch, const std::string& remedy) {
    const Result<std::uint64_t> energy = zone.energy.unsigned_integer();
    if (!energy) return with_remedy(energy.error(), remedy);
    if (!zone.wrap) {
      // Without a known range the counter is treated as one that does not wrap: a wrap then looks like a reset, and
      // nothing is booked for that interval.
      const auto range = sysfs::read_integer(zone.directory / "max_energy_range_uj");
      if (range && *range > 0) zone.wrap = static_cast<std::uint64_t>(*range);
    }
    if (zone.samples++ % limits_every == 0) zone.rate_max = plausible_watts(zone);
    CounterReading counter = {zone.device, *energy, zone.wrap.value_or(0), zone.rate_max};
    counter.patience_ms = zone.kind == &package_kind ? patience_alive_ms : patience_ms;
    if (zone.kind == &package_kind) {
      batch.meter(cpu_package_energy, &cpu_package_power, counter, zone.package, "rapl");
    } else {
      batch.meter(*zone.kind->energy, zone.kind->power, counter, zone.package);
    }
    return {};
  }

  std::vector<Zone> zones_;
  std::string remedy_;
};

// "package-0" -> "0", "package-0-die-1" -> "0-die-1", "psys" -> "0", "psys-1" -> "1".
std::optional<std::string> index_of(std::string_view name, std::string_view kind) {
  if (!name.starts_with(kind)) return std::nullopt;
  name.remove_prefix(kind.size());
  if (name.empty() && kind == psys_kind.name) return "0";
  if (name.size() < 2 || name.front() != '-') return std::nullopt;
  return std::string(name.substr(1));
}

struct ZoneName {
  std::string directory;  // "intel-rapl:0:1"
  std::string name;       // "dram"
};

// The zones of one control type that have an energy counter, readable or not.
std::vector<ZoneName> zones_of(const std::filesystem::path& root, std::span<const std::string> directories,
                               std::string_view control_type) {
  std::vector<ZoneName> zones;
  for (const std::string& directory : directories) {
    if (!directory.starts_with(control_type) || zones.size() >= zones_max) continue;
    Result<std::string> name = sysfs::read_text(root / directory / "name");
    if (!name) continue;
    std::error_code ignored;
    if (!std::filesystem::exists(root / directory / "energy_uj", ignored)) continue;
    zones.push_back({directory, std::move(*name)});
  }
  return zones;
}

// The label of a package's zone. AMD's dies are their socket (collectors/cpu_package.hpp).
std::optional<std::string> package_label(const std::string& zone, CpuVendor vendor) {
  std::optional<std::string> text = index_of(zone, package_kind.name);
  if (!text || vendor != CpuVendor::amd) return text;
  const auto package = parse_cpu_package(*text);
  return package ? label(CpuPackage{package->number, {}}) : std::move(text);
}

// One group per package with its subzones, or per psys zone. `seen` holds the devices found so far: a device that
// another control type also shows, or another die of an AMD socket, is left out. So is `core` on AMD: it is the counter
// of the core that is asked, one of many (MSR_CORE_ENERGY_STAT, AMD PPR), and no package's cores.
void add_zones(const std::filesystem::path& root, const std::vector<ZoneName>& zones, CpuVendor vendor,
               std::set<std::string>& seen, std::vector<std::vector<Zone>>& probes) {
  for (const ZoneName& top : zones) {
    std::vector<Zone> group;
    if (const auto package = package_label(top.name, vendor)) {
      group.emplace_back(package_kind, *package, root / top.directory);
      for (const ZoneName& sub : zones) {
        if (!sub.directory.starts_with(top.directory + ":")) continue;
        for (const ZoneKind& kind : subzone_kinds) {
          const bool shown = vendor != CpuVendor::amd || kind.energy != &core_energy;
          if (sub.name == kind.name && shown) group.emplace_back(kind, *package, root / sub.directory);
        }
      }
    } else if (const auto platform = index_of(top.name, psys_kind.name)) {
      group.emplace_back(psys_kind, *platform, root / top.directory);
    }
    std::erase_if(group, [&seen](const Zone& zone) { return !seen.insert(zone.device).second; });
    if (!group.empty()) probes.push_back(std::move(group));
  }
}

Result<std::vector<Probe>> make_rapl(const Options&, const Roots& roots) {
  const std::filesystem::path root = roots.sysfs / "class/powercap";
  const Result<std::vector<std::string>> directories = sysfs::list(root);
  const std::string remedy = remedy_here(roots);
  if (!directories) return with_remedy(directories.error(), remedy);

  // intel-rapl-mmio shows the same packages a second time, through memory-mapped registers; it is used only for devices
  // that intel-rapl does not show.
  const CpuVendor vendor = read_cpu_vendor(roots.procfs);
  std::vector<std::vector<Zone>> groups;
  std::set<std::string> seen;
  add_zones(root, zones_of(root, *directories, "intel-rapl:"), vendor, seen, groups);
  add_zones(root, zones_of(root, *directories, "intel-rapl-mmio:"), vendor, seen, groups);
  if (groups.empty()) return Error{Fault::absent, fmt::format("{}: no RAPL zone", root.native())};

  // Since Linux 5.10 only root may read the counters (CVE-2020-8694). If none is readable the whole source is denied,
  // which is logged once with the remedy; else each probe reports its own error.
  std::optional<Error> denied;
  bool open = false;
  std::vector<Probe> probes;
  for (std::vector<Zone>& group : groups) {
    const Result<void> readable = sysfs::readable(group.front().energy.path());
    const bool closed = !readable && readable.error().fault == Fault::denied;
    open = open || !closed;
    if (closed) denied = with_remedy(readable.error(), remedy);
    std::string device = group.front().device;
    probes.push_back({std::move(device), std::make_unique<Rapl>(std::move(group), remedy)});
  }
  if (denied && !open) return *std::move(denied);
  return probes;
}

constexpr std::array<const Metric*, 10> metrics = {&cpu_package_energy, &cpu_package_power, &core_energy, &core_power,
                                                   &uncore_energy,      &uncore_power,      &dram_energy, &dram_power,
                                                   &psys_energy,        &psys_power};

}  // namespace

extern const Entry rapl_entry;
const Entry rapl_entry = {
    .name = "rapl",
    .help =
        "Energy and power of CPU packages, cores, memory and platform, from the counters in /sys/class/powercap (Intel "
        "RAPL and its AMD counterpart).",
    .metrics = metrics,
    .options = {},
    .enabled = true,
    .period = std::chrono::milliseconds(1000),
    .deadline = std::chrono::milliseconds(900),
    .make = make_rapl,
};

}  // namespace perjoule
