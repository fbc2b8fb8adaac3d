#include "collectors/host/cpu_text.hpp"

#include <charconv>

#include "collectors/sysfs.hpp"

namespace perjoule {

namespace {

constexpr std::size_t cpus_max = 8192;

std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return line;
}

// "cpu MHz\t\t: 2893.202" with the key "cpu MHz" gives "2893.202".
std::optional<std::string_view> value_of(std::string_view line, std::string_view key) {
  if (!line.starts_with(key)) return std::nullopt;
  line.remove_prefix(key.size());
  const std::size_t colon = line.find_first_not_of(" \t");
  if (colon == std::string_view::npos || line[colon] != ':') return std::nullopt;
  const std::size_t start = line.find_first_not_of(" \t", colon + 1);
  return start == std::string_view::npos ? std::string_view() : line.substr(start);
}

std::optional<double> parse_megahertz(std::string_view text) {
  double megahertz = 0;
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, megahertz, std::chars_format::fixed);
  if (code != std::errc() || stop != end) return std::nullopt;
  // `!(a && b)` so that NaN, for which every comparison is false, is rejected.
  if (!(megahertz > 0 && megahertz <= static_cast<double>(kilohertz_max) / 1e3)) return std::nullopt;
  return megahertz;
}

}  // namespace

std::vector<CpuClock> parse_cpuinfo_clocks(std::string_view text) {
  std::vector<CpuClock> clocks;
  constexpr std::uint64_t none = cpus_max * 8;
  std::uint64_t cpu = none;
  while (!text.empty() && clocks.size() < cpus_max) {
    const std::string_view line = take_line(text);
    if (const auto processor = value_of(line, "processor")) {
      const Result<std::uint64_t> number = sysfs::parse_unsigned(*processor);
      cpu = number && *number < none ? *number : none;
    } else if (const auto clock = value_of(line, "cpu MHz"); clock && cpu != none) {
      const std::optional<double> megahertz = parse_megahertz(*clock);
      if (megahertz) clocks.push_back({static_cast<unsigned>(cpu), *megahertz * 1e6});
      cpu = none;
    }
  }
  return clocks;
}

Pressure parse_pressure(std::string_view text) {
  Pressure pressure;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    const std::size_t total = line.rfind(" total=");
    if (total == std::string_view::npos) continue;
    const Result<std::int64_t> microseconds = sysfs::parse_integer(line.substr(total + 7));
    if (!microseconds || *microseconds < 0) continue;
    if (line.starts_with("some ")) pressure.some_us = *microseconds;
    if (line.starts_with("full ")) pressure.full_us = *microseconds;
  }
  return pressure;
}

}  // namespace perjoule
