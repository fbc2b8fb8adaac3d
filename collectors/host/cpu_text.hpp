// Parsers of the cpu collector's texts. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace perjoule {

inline constexpr std::uint64_t kilohertz_max =
    20'000'000;  // 20 GHz: above it no cpu runs, and the number means nothing

struct CpuClock {
  unsigned cpu = 0;
  double hertz = 0;
};

// The "cpu MHz" line of each processor of /proc/cpuinfo; none on architectures that do not print it. At most 8192.
[[nodiscard]] std::vector<CpuClock> parse_cpuinfo_clocks(std::string_view text);

// total= of the lines "some" and "full", microseconds since boot. "full" is missing for cpu before Linux 5.13.
struct Pressure {
  std::optional<std::int64_t> some_us;
  std::optional<std::int64_t> full_us;
};
[[nodiscard]] Pressure parse_pressure(std::string_view text);

}  // namespace perjoule
