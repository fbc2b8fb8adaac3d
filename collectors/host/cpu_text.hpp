// Parsers of /proc/cpuinfo and /proc/pressure for the cpu collector. Pure; any thread. Sources:
// Documentation/filesystems/proc.rst, Documentation/accounting/psi.rst. Malformed lines are skipped, never an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace perjoule {

inline constexpr std::uint64_t kilohertz_max = 20'000'000;  // 20 GHz: readings above it are implausible and ignored

struct CpuClock {
  unsigned cpu = 0;
  double hertz = 0;
};

// The "cpu MHz" line of each processor of /proc/cpuinfo, at most 8192; empty on architectures that do not print it.
[[nodiscard]] std::vector<CpuClock> parse_cpuinfo_clocks(std::string_view text);

// total= of the lines "some" and "full", in microseconds since boot. Before Linux 5.13 the file `cpu` has no "full".
struct Pressure {
  std::optional<std::int64_t> some_us;
  std::optional<std::int64_t> full_us;
};
[[nodiscard]] Pressure parse_pressure(std::string_view text);

}  // namespace perjoule
