// Utilisation and clock of each CPU package, and the pressure stall times (PSI) of the host.
//
// Sources: /proc/stat (collectors/cpu_times.hpp); Documentation/admin-guide/pm/cpufreq.rst (scaling_cur_freq, kHz),
// /proc/cpuinfo where there is no cpufreq; Documentation/accounting/psi.rst (total=, microseconds since boot).
#include <fmt/format.h>

#include <array>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "collectors/collector.hpp"
#include "collectors/cpu_times.hpp"
#include "collectors/host/cpu_text.hpp"
#include "collectors/host/metrics.hpp"
#include "collectors/sysfs.hpp"

namespace perjoule {

namespace {

constexpr std::size_t cpuinfo_bytes_max = std::size_t{8} * 1024 * 1024;
constexpr std::uint64_t look_again_every = 60;  // samples

constexpr auto pressure_some = counter<Unit::second>(
    "perjoule_pressure_some_seconds_total",
    "Time since boot in which at least one task waited for the resource, from /proc/pressure.", "resource");
constexpr auto pressure_full = counter<Unit::second>(
    "perjoule_pressure_full_seconds_total",
    "Time since boot in which all non-idle tasks waited for the resource at once, from /proc/pressure. It is included "
    "in perjoule_pressure_some_seconds_total.",
    "resource");

struct Mean {
  double sum = 0;
  std::size_t count = 0;
};

class Cpu final : public Collector {
 public:
  explicit Cpu(const Roots& roots) : utilization_(roots), roots_(roots) {
    for (const char* resource : {"cpu", "memory", "io"}) {
      pressure_.emplace_back(resource, sysfs::File(roots.procfs / "pressure" / resource));
    }
  }

  Result<void> sample(Batch& batch) override {
    const Result<BusyRatios> ratios = utilization_.sample();
    if (!ratios) {
      batch.fault("stat", ratios.error());
    } else {
      batch.ok();
      if (!ratios->fell.empty()) batch.refuse("stat", ratios->fell + "; its ticks since the last read are not counted");
      for (const auto& [package, busy] : ratios->packages)
        batch.add(cpu_utilization, ratio(busy), label(package));
      clocks(batch);
    }
    pressures(batch);
    // The first call has no utilisation yet: an empty batch is an error only if /proc/stat could not be read.
    if (!ratios && batch.readings().empty()) return ratios.error();
    return {};
  }

 private:
  void clocks(Batch& batch) {
    std::map<CpuPackage, Mean> packages;
    // Where cpufreq is missing its files are tried only every 60 samples: hundreds of failed opens per tick are costly.
    if (has_cpufreq_ || samples_ % look_again_every == 0) packages = clocks_from_cpufreq();
    has_cpufreq_ = !packages.empty();
    ++samples_;
    if (packages.empty()) packages = clocks_from_cpuinfo();
    for (const auto& [package, mean] : packages) {
      batch.add(cpu_clock, hertz(mean.sum / static_cast<double>(mean.count)), label(package));
    }
  }

  std::map<CpuPackage, Mean> clocks_from_cpufreq() {
    std::map<CpuPackage, Mean> packages;
    for (const CpuTimes& cpu : utilization_.cpus()) {
      const std::optional<double> hertz_now = clock_of(cpu.cpu);
      if (!hertz_now) continue;
      Mean& mean = packages[package_of(utilization_.topology(), cpu.cpu)];
      mean.sum += *hertz_now;
      ++mean.count;
    }
    return packages;
  }

  // A CPU without cpufreq, or one that just went offline, has no clock: this is not a fault.
  std::optional<double> clock_of(unsigned cpu) {
    auto found = frequency_.find(cpu);
    if (found == frequency_.end()) {
      found = frequency_
                  .emplace(cpu, sysfs::File(roots_.sysfs / "devices/system/cpu" / fmt::format("cpu{}", cpu) /
                                            "cpufreq/scaling_cur_freq"))
                  .first;
    }
    const Result<std::uint64_t> kilohertz = found->second.unsigned_integer();
    if (!kilohertz || *kilohertz == 0 || *kilohertz > kilohertz_max) return std::nullopt;
    return hertz_from_kilo(static_cast<std::int64_t>(*kilohertz)).value();
  }

  std::map<CpuPackage, Mean> clocks_from_cpuinfo() const {
    std::map<CpuPackage, Mean> packages;
    const Result<std::string> text = sysfs::read_whole(roots_.procfs / "cpuinfo", cpuinfo_bytes_max);
    if (!text) return packages;
    for (const CpuClock& clock : parse_cpuinfo_clocks(*text)) {
      Mean& mean = packages[package_of(utilization_.topology(), clock.cpu)];
      mean.sum += clock.hertz;
      ++mean.count;
    }
    return packages;
  }

  void pressures(Batch& batch) {
    for (auto& [resource, file] : pressure_) {
      const Result<std::string_view> text = file.text();
      if (!text) {
        // Not a fault: a kernel without PSI has no such file, and one booted with psi=0 fails the read with EOPNOTSUPP.
        if (text.error().fault == Fault::denied) {
          batch.fault(resource, text.error());
        } else {
          batch.absent();
        }
        continue;
      }
      batch.ok();
      const Pressure pressure = parse_pressure(*text);
      if (pressure.some_us) batch.add(pressure_some, seconds_from_micro(*pressure.some_us), resource);
      if (pressure.full_us) batch.add(pressure_full, seconds_from_micro(*pressure.full_us), resource);
    }
  }

  Utilization utilization_;
  Roots roots_;
  std::map<unsigned, sysfs::File> frequency_;
  bool has_cpufreq_ = true;
  std::uint64_t samples_ = 0;
  std::vector<std::pair<std::string, sysfs::File>> pressure_;
};

Result<std::vector<Probe>> make_cpu(const Options&, const Roots& roots) {
  std::error_code ignored;
  if (!std::filesystem::exists(roots.procfs / "stat", ignored)) {
    return Error{Fault::absent, fmt::format("{}: does not exist", (roots.procfs / "stat").native())};
  }
  std::vector<Probe> probes;
  probes.push_back({"", std::make_unique<Cpu>(roots)});
  return probes;
}

constexpr std::array<const Metric*, 4> metrics = {&cpu_utilization, &cpu_clock, &pressure_some, &pressure_full};

}  // namespace

extern const Entry cpu_entry;
const Entry cpu_entry = {
    .name = "cpu",
    .help =
        "Utilisation and clock of each CPU package and pressure stall times, from /proc/stat, cpufreq and "
        "/proc/pressure.",
    .metrics = metrics,
    .options = {},
    .enabled = true,
    .period = std::chrono::milliseconds(1000),
    .deadline = std::chrono::milliseconds(900),
    .make = make_cpu,
};

}  // namespace perjoule
