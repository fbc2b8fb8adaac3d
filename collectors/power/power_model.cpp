// Power of CPU packages where nothing measures it: linear between idle and full load, by utilisation. Its series have
// source="modelled"; power/coefficients.hpp says what the numbers include and how large their error is.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "collectors/collector.hpp"
#include "collectors/cpu_times.hpp"
#include "collectors/power/coefficients.hpp"
#include "collectors/power/metrics.hpp"
#include "collectors/power/power_model.hpp"
#include "collectors/sysfs.hpp"

namespace perjoule {

namespace {

constexpr std::size_t cpuinfo_head_bytes = 8192;  // the first processor's block
constexpr std::size_t zones_max = 1024;
constexpr double plausible_factor = 2;
constexpr int reads_to_stand = 5;  // as in daemon/record/still_meter.hpp
constexpr double node_watts_max = 100'000;

// The packages of the powercap tree whose counters this process may read. Looked at with each sample, because
// drivers and permissions can change. A counter that stands still is no meter.
class Metered {
 public:
  explicit Metered(const Roots& roots)
      : powercap_(roots.sysfs / "class/powercap"), whole_sockets_(read_cpu_vendor(roots.procfs) == CpuVendor::amd) {}

  // By package: whether its counter counts. Empty: none can be read.
  std::map<CpuPackage, bool> packages() {
    std::map<CpuPackage, bool> found;
    std::map<std::string, Counter> read;
    const Result<std::vector<std::string>> zones = sysfs::list(powercap_);
    if (!zones) return found;
    for (std::size_t i = 0; i < std::min(zones->size(), zones_max); ++i) {
      const std::filesystem::path zone = powercap_ / (*zones)[i];
      const Result<std::string> name = sysfs::read_text(zone / "name");
      constexpr std::string_view head = "package-";
      if (!name || !name->starts_with(head)) continue;
      const Result<std::string> energy = sysfs::read_text(zone / "energy_uj");
      if (!energy) continue;
      std::optional<CpuPackage> package = parse_cpu_package(std::string_view(*name).substr(head.size()));
      if (!package) continue;
      if (whole_sockets_) package->die.reset();
      Counter& counter = read[zone.native()] = counters_[zone.native()];
      bool& counts = found[*package];
      counts = is_moving(counter, *energy) || counts;  // the packages of intel-rapl-mmio are those of intel-rapl
    }
    counters_ = std::move(read);
    return found;
  }

 private:
  struct Counter {
    std::string value;
    int reads = 0;  // without a step
  };
  static bool is_moving(Counter& counter, const std::string& value) {
    if (counter.value != value) counter = {value, 0};
    return counter.reads++ < reads_to_stand;
  }

  std::filesystem::path powercap_;
  bool whole_sockets_;
  std::map<std::string, Counter> counters_;  // by zone, of those that are there
};

Error not_needed() {
  return Error{Fault::absent, "not needed: rapl measures the packages"};
}

// Configured watts of the whole node; values that are not configured come from the coefficients.
struct Configured {
  std::optional<double> idle_watts;
  std::optional<double> max_watts;
};

PowerLine line_of(const Coefficients& published, const Configured& node, unsigned threads) {
  PowerLine line = {node.idle_watts ? *node.idle_watts / threads : published.idle_watts,
                    node.max_watts ? *node.max_watts / threads : published.max_watts};
  // If only one end is configured and it is beyond the other, published one, both ends become equal.
  if (node.max_watts && !node.idle_watts) line.idle_watts = std::min(line.idle_watts, line.max_watts);
  if (node.idle_watts && !node.max_watts) line.max_watts = std::max(line.idle_watts, line.max_watts);
  return line;
}

class PowerModel final : public Collector {
 public:
  PowerModel(const Roots& roots, const Coefficients& coefficients, const Configured& configured, bool always)
      : utilization_(roots, Steal::idle),
        metered_(roots),
        coefficients_(coefficients),
        configured_(configured),
        always_(always) {}

  Result<void> sample(Batch& batch) override {
    const auto meters = always_ ? std::map<CpuPackage, bool>() : metered_.packages();
    const auto counts = [](const auto& package) { return package.second; };
    // No error: an absent source would not be asked again, and a counter may stop at any time.
    if (!meters.empty() && std::all_of(meters.begin(), meters.end(), counts)) return {};
    const Result<BusyRatios> ratios = utilization_.sample();
    if (!ratios) return ratios.error();
    std::map<CpuPackage, unsigned> threads;
    for (const CpuTimes& times : utilization_.cpus())
      ++threads[package_of(utilization_.topology(), times.cpu)];
    const PowerLine line = line_of(coefficients_, configured_, static_cast<unsigned>(utilization_.cpus().size()));
    for (const auto& [package, ratio] : ratios->packages) {
      const auto meter = meters.find(package);
      if (!meters.empty() && (meter == meters.end() || meter->second)) continue;
      const std::string device = fmt::format("package-{}", label(package));
      const PowerReading source = {device, plausible_factor * threads[package] * line.max_watts, Origin::modelled};
      batch.ok();
      const Watts power = watts(modelled_watts(line, threads[package], ratio));
      batch.integrate(cpu_package_energy, &cpu_package_power, power, source, label(package), "modelled");
    }
    return {};
  }

 private:
  Utilization utilization_;
  Metered metered_;
  const Coefficients& coefficients_;
  Configured configured_;
  bool always_;
};

// The daemon passes efficiency.power_model as `idle` and `max`; they are not keys of this collector.
Result<Configured> read_configured(const Options& options) {
  Configured node;
  if (options.has("idle")) node.idle_watts = options.number("idle");
  if (options.has("max")) node.max_watts = options.number("max");
  const double idle = node.idle_watts.value_or(0);
  const double most = node.max_watts.value_or(node_watts_max);
  if (idle >= 0 && idle <= most && most > 0 && most <= node_watts_max) return node;
  return Error{Fault::absent,
               fmt::format("invalid power model: idle {} W, max {} W (expected 0 <= idle <= max <= {} W)", idle, most,
                           node_watts_max),
               "set efficiency.power_model.idle and efficiency.power_model.max accordingly"};
}

Result<CoefficientsChoice> read_coefficients(const Roots& roots) {
  sysfs::File cpuinfo(roots.procfs / "cpuinfo");
  const Result<std::string_view> text = cpuinfo.head(cpuinfo_head_bytes);
  if (!text) return text.error();
  return choose_coefficients(parse_cpu_identity(*text));
}

constexpr Option option_table[] = {
    {"always", OptionType::boolean, "false",
     "Model the packages even where RAPL measures them; sums over the families then count them twice."},
};

Result<std::vector<Probe>> make(const Options& options, const Roots& roots) {
  const bool always = options.boolean("always");
  const Result<Configured> configured = read_configured(options);
  if (!configured) return configured.error();
  const Result<CoefficientsChoice> choice = read_coefficients(roots);
  if (!choice) {
    if (!always && !Metered(roots).packages().empty()) return not_needed();
    return choice.error();
  }
  std::vector<Probe> probes;
  probes.push_back({"", std::make_unique<PowerModel>(roots, *choice->coefficients, *configured, always)});
  return probes;
}

constexpr std::array<const Metric*, 2> metrics = {&cpu_package_energy, &cpu_package_power};

}  // namespace

Result<std::string> describe_power_model(const Roots& roots) {
  const Result<CoefficientsChoice> choice = read_coefficients(roots);
  if (!choice) return choice.error();
  const Coefficients& used = *choice->coefficients;
  return fmt::format("SPECpower means of {}: {:.2f} to {:.2f} W per thread, +-50 %{}{}", used.microarchitecture,
                     used.idle_watts, used.max_watts, choice->note.empty() ? "" : "; ", choice->note);
}

extern const Entry power_model_entry;
const Entry power_model_entry = {
    .name = "power_model",
    .help =
        "Power of CPU packages where RAPL cannot be read, modelled from their utilisation (/proc/stat) and SPECpower "
        "means for the microarchitecture (+-50 %) or the values of efficiency.power_model.",
    .metrics = metrics,
    .options = option_table,
    .period = std::chrono::milliseconds(1000),
    .deadline = std::chrono::milliseconds(900),
    .make = make,
};

}  // namespace perjoule
