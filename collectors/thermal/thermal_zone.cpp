// Temperatures and trip points of the kernel's thermal zones.
//
// Source: Documentation/driver-api/thermal/sysfs-api.rst (millidegrees; EAGAIN while a driver has no value yet).
//
// A zone is often a second view of a sensor that hwmon shows too: the kernel registers an hwmon child for most zones,
// and x86_pkg_temp reads the sensor that coretemp calls "Package id N". Such a zone is shown with the role "other", so
// that each role contains a physical sensor once, and no temperature is lost where the hwmon collector is disabled.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "collectors/collector.hpp"
#include "collectors/sysfs.hpp"
#include "collectors/thermal/metrics.hpp"

namespace perjoule {

namespace {

constexpr std::size_t zones_max = 256;
constexpr std::size_t trips_max = 64;
constexpr std::uint64_t limits_every = 60;  // samples
constexpr double celsius_min = -100;
constexpr double celsius_max = 250;
constexpr double limit_celsius_above = 0;  // firmware that sets no trip point leaves it at 0 or at -274 C
constexpr double limit_celsius_max = 200;

struct Trip {
  std::string_view limit;  // crit, max
  sysfs::File file;
};

// The numbers of zones follow the order of probing, and are no identity. The type is one while it is unique; zones of
// one type are numbered from 0 among themselves, as their driver registers them.
struct Zone {
  std::filesystem::path directory;
  std::string name;       // "thermal_zone0": the device of the source's state, so that an operator finds it in sysfs
  std::string chip;       // "x86_pkg_temp", "acpitz_1"
  std::string_view role;  // static text
};
constexpr std::string_view zone_sensor = "temp";

class ThermalZone final : public Collector {
 public:
  ThermalZone(Zone zone, std::vector<Trip> trips)
      : zone_(std::move(zone)),
        trips_(std::move(trips)),
        mode_(zone_.directory / "mode"),
        temperature_(zone_.directory / "temp") {}

  Result<void> sample(Batch& batch) override {
    // Zones of older kernels and of some drivers have no file `mode`: they are enabled.
    if (const auto mode = mode_.text(); mode && *mode == "disabled") {
      return Error{Fault::absent, fmt::format("{}: disabled", mode_.path().native())};
    }
    const auto raw = temperature_.integer();
    if (!raw) return raw.error();
    const Celsius value = celsius_from_milli(*raw);
    if (value.value() < celsius_min || value.value() > celsius_max) {
      batch.refuse(zone_.name, fmt::format("{}: implausible reading {} C (plausible: {} to {} C), ignored",
                                           temperature_.path().native(), value.value(), celsius_min, celsius_max));
    } else {
      batch.ok();
      batch.add(sensor_temperature, value, zone_.chip, zone_sensor, zone_.role);
    }
    if (samples_++ % limits_every == 0) read_limits();
    for (const auto& [limit, degrees] : limits_) {
      batch.add(temperature_limit, celsius(degrees), zone_.chip, zone_sensor, zone_.role, limit);
    }
    return {};
  }

 private:
  // The lowest of each kind, because a zone with several trip points of one kind acts at the lowest.
  void read_limits() {
    limits_.clear();
    for (Trip& trip : trips_) {
      const auto raw = trip.file.integer();
      if (!raw) continue;
      const double degrees = celsius_from_milli(*raw).value();
      if (degrees <= limit_celsius_above || degrees > limit_celsius_max) continue;
      const auto [found, added] = limits_.emplace(trip.limit, degrees);
      if (!added) found->second = std::min(found->second, degrees);
    }
  }

  Zone zone_;
  std::vector<Trip> trips_;
  sysfs::File mode_;
  sysfs::File temperature_;
  std::map<std::string_view, double> limits_;
  std::uint64_t samples_ = 0;
};

std::string_view role_of(std::string_view type) {
  if (type == "x86_pkg_temp" || type.starts_with("cpu")) return "cpu";
  if (type.starts_with("acpitz")) return "board";
  if (type.find("gpu") != std::string_view::npos) return "gpu";
  if (type.starts_with("nvme")) return "nvme";
  return "other";
}

bool has_coretemp(const std::filesystem::path& sysfs) {
  const auto names = sysfs::list(sysfs / "class/hwmon");
  return names && std::ranges::any_of(*names, [&sysfs](const std::string& name) {
           const auto chip = sysfs::read_text(sysfs / "class/hwmon" / name / "name");
           return chip && *chip == "coretemp";
         });
}

// Where trip_point_N_type is "critical" or "hot", trip_point_N_temp is a limit.
std::vector<Trip> find_trips(const std::filesystem::path& zone, const std::vector<std::string>& names) {
  std::vector<Trip> trips;
  for (const std::string& name : names) {
    if (!name.starts_with("trip_point_") || !name.ends_with("_type") || trips.size() >= trips_max) continue;
    const auto type = sysfs::read_text(zone / name);
    if (!type || (*type != "critical" && *type != "hot")) continue;
    const std::string stem = name.substr(0, name.size() - 4);
    trips.push_back({*type == "critical" ? "crit" : "max", sysfs::File(zone / (stem + "temp"))});
  }
  return trips;
}

std::vector<Zone> find_zones(const std::filesystem::path& root, const std::vector<std::string>& names) {
  std::vector<Zone> zones;
  std::map<std::string, int> types;
  for (const std::string& name : names) {
    if (!name.starts_with("thermal_zone") || zones.size() >= zones_max) continue;
    auto type = sysfs::read_text(root / name / "type");
    Zone zone{root / name, name, type && !type->empty() ? *type : "unnamed", ""};
    zone.role = role_of(zone.chip);
    ++types[zone.chip];
    zones.push_back(std::move(zone));
  }
  std::map<std::string, int> numbers;
  for (Zone& zone : zones) {
    const std::string type = zone.chip;
    if (types[type] > 1) zone.chip = fmt::format("{}_{}", type, numbers[type]++);
  }
  return zones;
}

// A zone that is disabled later ends with `absent` at its next sample.
bool is_disabled(const Zone& zone) {
  const auto mode = sysfs::read_text(zone.directory / "mode");
  return mode && *mode == "disabled";
}

Result<std::vector<Probe>> make_thermal_zone(const Options&, const Roots& roots) {
  const std::filesystem::path root = roots.sysfs / "class/thermal";
  const auto names = sysfs::list(root);
  if (!names) return names.error();
  const bool coretemp = has_coretemp(roots.sysfs);
  std::vector<Probe> probes;
  for (Zone& zone : find_zones(root, *names)) {
    const auto files = sysfs::list(zone.directory);
    if (!files || !std::ranges::count(*files, "temp") || is_disabled(zone)) continue;
    const bool hwmon_child =
        std::ranges::any_of(*files, [](const std::string& file) { return file.starts_with("hwmon"); });
    if (hwmon_child || (coretemp && zone.chip.starts_with("x86_pkg_temp"))) zone.role = "other";
    std::vector<Trip> trips = find_trips(zone.directory, *files);
    std::string device = zone.name;
    probes.push_back({std::move(device), std::make_unique<ThermalZone>(std::move(zone), std::move(trips))});
  }
  if (probes.empty()) return Error{Fault::absent, fmt::format("{}: no thermal zone", root.native())};
  return probes;
}

constexpr std::array<const Metric*, 2> metrics = {&sensor_temperature, &temperature_limit};

}  // namespace

extern const Entry thermal_zone_entry;
const Entry thermal_zone_entry = {
    .name = "thermal_zone",
    .help = "Temperatures and trip points of the kernel's thermal zones, from /sys/class/thermal.",
    .metrics = metrics,
    .options = {},
    .enabled = true,
    .period = std::chrono::milliseconds(5000),
    .deadline = std::chrono::milliseconds(2000),
    .make = make_thermal_zone,
};

}  // namespace perjoule
