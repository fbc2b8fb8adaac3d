#include "collectors/cpu_times.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

namespace perjoule {

namespace {

constexpr std::size_t cpus_max = 8192;
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
  std::uint64_t ticks[8] = {};
  std::size_t count = 0;
  for (; count < 8 && line.find_first_not_of(' ') != std::string_view::npos; ++count) {
    const std::optional<std::uint64_t> value = take_number(line);
    if (!value) return std::nullopt;
    ticks[count] = *value;
  }
  if (count < 4) return std::nullopt;
  CpuTimes times;
  times.cpu = static_cast<unsigned>(*cpu);
  times.iowait = ticks[4];
  times.steal = ticks[7];
  times.busy = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7];
  times.total = times.busy + ticks[3] + ticks[4];
  return times;
}

std::uint64_t growth(std::uint64_t before, std::uint64_t after) {
  return after > before ? after - before : 0;
}

std::uint64_t idle(const CpuTimes& times) {
  return times.total - times.busy - times.iowait;
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

Topology read_topology(const std::filesystem::path& sysfs) {
  Topology topology;
  const std::filesystem::path directory = sysfs / "devices/system/cpu";
  const Result<std::vector<std::string>> names = sysfs::list(directory);
  if (!names) return topology;
  for (const std::string& name : *names) {
    if (!name.starts_with("cpu") || topology.size() >= cpus_max) continue;
    const Result<std::uint64_t> cpu = sysfs::parse_unsigned(std::string_view(name).substr(3));
    if (!cpu || *cpu >= cpus_max * 8) continue;
    const Result<std::int64_t> package = sysfs::read_integer(directory / name / "topology/physical_package_id");
    if (!package) continue;
    topology[static_cast<unsigned>(*cpu)] = static_cast<unsigned>(std::clamp<std::int64_t>(*package, 0, INT32_MAX));
  }
  return topology;
}

unsigned package_of(const Topology& topology, unsigned cpu) {
  const auto found = topology.find(cpu);
  return found == topology.end() ? 0 : found->second;
}

std::map<unsigned, double> busy_ratios(std::span<const CpuTimes> before, std::span<const CpuTimes> after,
                                       const Topology& topology) {
  struct Ticks {
    double busy = 0;
    double total = 0;
  };
  std::map<unsigned, Ticks> packages;
  auto old = before.begin();
  for (const CpuTimes& now : after) {
    while (old != before.end() && old->cpu < now.cpu)
      ++old;
    if (old == before.end()) break;
    if (old->cpu != now.cpu) continue;
    const double busy = static_cast<double>(growth(old->busy, now.busy));
    Ticks& ticks = packages[package_of(topology, now.cpu)];
    ticks.busy += busy;
    ticks.total += busy + static_cast<double>(growth(idle(*old), idle(now)));
    ticks.total += static_cast<double>(growth(old->iowait, now.iowait));
  }
  std::map<unsigned, double> ratios;
  for (const auto& [package, ticks] : packages) {
    if (ticks.total > 0) ratios[package] = ticks.busy / ticks.total;
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

Result<std::map<unsigned, double>> Utilization::sample() {
  Result<std::vector<CpuTimes>> cpus = read();
  if (!cpus) return cpus.error();
  if (steal_ == Steal::idle) {
    for (CpuTimes& times : *cpus)
      times.busy -= times.steal;  // it stays in `total`, so it now counts as idle
  }
  if (!same_cpus(previous_, *cpus)) topology_ = read_topology(sysfs_);
  std::map<unsigned, double> ratios = busy_ratios(previous_, *cpus, topology_);
  previous_ = std::move(*cpus);
  return ratios;
}

}  // namespace perjoule
