#include "collectors/cpu_times.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <string>

namespace perjoule {

namespace {

constexpr std::size_t cpus_max = 8192;
constexpr std::size_t idle = 3, iowait = 4, stolen = 7;
constexpr std::array<std::string_view, 8> state_names = {"user",   "nice", "system",  "idle",
                                                         "iowait", "irq",  "softirq", "steal"};
constexpr std::size_t head_bytes_max = std::size_t{2} * 1024 * 1024;  // 8192 lines of 250 bytes

std::optional<std::uint64_t> take_number(std::string_view& text) {
  const std::size_t start = std::min(text.find_first_not_of(' '), text.size());
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data() + start, end, value);
  if (code != std::errc() || (stop != end && *stop != ' ')) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  return value;
}

// `line` is the part behind "cpu": "12 100 0 50 900 3 0 1 0 0 0".
std::optional<CpuTimes> parse_line(std::string_view line) {
  const std::optional<std::uint64_t> cpu = line.starts_with(' ') ? std::nullopt : take_number(line);
  if (!cpu || *cpu >= cpus_max * 8) return std::nullopt;
  // user nice system idle, and since 2.6 iowait irq softirq steal. guest and guest_nice are skipped: they are already
  // included in user and nice.
  CpuTimes times;
  times.cpu = static_cast<unsigned>(*cpu);
  std::size_t count = 0;
  for (; count < times.ticks.size() && line.find_first_not_of(' ') != std::string_view::npos; ++count) {
    const std::optional<std::uint64_t> value = take_number(line);
    if (!value) return std::nullopt;
    times.ticks[count] = *value;
  }
  if (count < 4) return std::nullopt;
  return times;
}

std::uint64_t growth(std::uint64_t before, std::uint64_t after) {
  return after > before ? after - before : 0;
}

bool same_cpus(std::span<const CpuTimes> left, std::span<const CpuTimes> right) {
  return std::ranges::equal(left, right, {}, &CpuTimes::cpu, &CpuTimes::cpu);
}

}  // namespace

std::vector<CpuTimes> parse_cpu_times(std::string_view text) {
  std::vector<CpuTimes> cpus;
  while (text.starts_with("cpu") && cpus.size() < cpus_max) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    const std::optional<CpuTimes> times = parse_line(text.substr(3, end - 3));
    if (times && (cpus.empty() || times->cpu > cpus.back().cpu)) cpus.push_back(*times);
    text.remove_prefix(end + 1);
  }
  return cpus;
}

Topology read_topology(const std::filesystem::path& sysfs, bool dies) {
  Topology topology;
  const std::filesystem::path directory = sysfs / "devices/system/cpu";
  const Result<std::vector<std::string>> names = sysfs::list(directory);
  if (!names) return topology;
  std::map<unsigned, std::set<unsigned>> dies_of;
  for (const std::string& name : *names) {
    if (!name.starts_with("cpu") || topology.size() >= cpus_max) continue;
    const Result<std::uint64_t> cpu = sysfs::parse_unsigned(std::string_view(name).substr(3));
    if (!cpu || *cpu >= cpus_max * 8) continue;
    const Result<std::int64_t> number = sysfs::read_integer(directory / name / "topology/physical_package_id");
    if (!number) continue;
    CpuPackage package{static_cast<unsigned>(std::clamp<std::int64_t>(*number, 0, INT32_MAX)), {}};
    const Result<std::int64_t> die =
        dies ? sysfs::read_integer(directory / name / "topology/die_id") : Error{Fault::absent, ""};
    if (die && *die >= 0) package.die = static_cast<unsigned>(std::min<std::int64_t>(*die, INT32_MAX));
    if (package.die) dies_of[package.number].insert(*package.die);
    topology[static_cast<unsigned>(*cpu)] = package;
  }
  const bool several = std::ranges::any_of(dies_of, [](const auto& package) { return package.second.size() > 1; });
  for (auto& [cpu, package] : topology) {
    if (!several) package.die.reset();
  }
  return topology;
}

CpuPackage package_of(const Topology& topology, unsigned cpu) {
  const auto found = topology.find(cpu);
  return found == topology.end() ? CpuPackage{} : found->second;
}

BusyRatios busy_ratios(std::span<const CpuTimes> before, std::span<const CpuTimes> after, const Topology& topology,
                       Steal steal) {
  struct Ticks {
    double busy = 0;
    double total = 0;
  };
  BusyRatios ratios;
  std::map<CpuPackage, Ticks> packages;
  auto old = before.begin();
  for (const CpuTimes& now : after) {
    while (old != before.end() && old->cpu < now.cpu)
      ++old;
    if (old == before.end()) break;
    if (old->cpu != now.cpu) continue;
    Ticks& ticks = packages[package_of(topology, now.cpu)];
    for (std::size_t state = 0; state < now.ticks.size(); ++state) {
      const auto grown = static_cast<double>(growth(old->ticks[state], now.ticks[state]));
      const bool is_busy = state != idle && state != iowait && (state != stolen || steal == Steal::busy);
      ticks.total += grown;
      if (is_busy) ticks.busy += grown;
      if (now.ticks[state] < old->ticks[state] && state != iowait && ratios.fell.empty()) {
        ratios.fell = fmt::format("{} of cpu{} fell from {} to {}", state_names[state], now.cpu, old->ticks[state],
                                  now.ticks[state]);
      }
    }
  }
  for (const auto& [package, ticks] : packages) {
    if (ticks.total > 0) ratios.packages[package] = ticks.busy / ticks.total;
  }
  return ratios;
}

Result<std::vector<CpuTimes>> Utilization::read() {
  for (;;) {
    const Result<std::string_view> text = stat_.head(head_bytes_);
    if (!text) return text.error();
    // All CPU lines have been read once another line has begun behind them, or the file ended. Else the head is too
    // short and is doubled.
    const std::size_t last_line = text->rfind('\n') == std::string_view::npos ? 0 : text->rfind('\n') + 1;
    const bool cut = text->size() == head_bytes_ && std::string_view("cpu").starts_with(text->substr(last_line, 3));
    if (!cut || head_bytes_ >= head_bytes_max) {
      std::vector<CpuTimes> cpus = parse_cpu_times(*text);
      if (!cpus.empty()) return cpus;
      return Error{Fault::absent, fmt::format("{}: no cpu lines", stat_.path().native())};
    }
    head_bytes_ *= 2;
  }
}

Result<BusyRatios> Utilization::sample() {
  Result<std::vector<CpuTimes>> cpus = read();
  if (!cpus) return cpus.error();
  if (!same_cpus(previous_, *cpus))
    topology_ = read_topology(roots_.sysfs, read_cpu_vendor(roots_.procfs) == CpuVendor::intel);
  BusyRatios ratios = busy_ratios(previous_, *cpus, topology_, steal_);
  previous_ = std::move(*cpus);
  return ratios;
}

}  // namespace perjoule
