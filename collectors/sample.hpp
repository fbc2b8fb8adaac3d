// One value of one series, and the time of a reading. Values only; any thread.
#pragma once

#include <cstdint>

namespace perjoule {

// Identity of (metric, label values) while the process runs; assigned by daemon/record/series.
enum class SeriesId : std::uint64_t {};

// `steady_ns` is CLOCK_BOOTTIME, which includes suspend and continues over a restart of the daemon: intervals are
// measured on it. `wall_ms` is CLOCK_REALTIME in milliseconds since the epoch: only for showing and storing.
struct Stamp {
  std::int64_t steady_ns = 0;
  std::int64_t wall_ms = 0;
  std::int64_t uncertainty_ns = 0;  // the value may have been read up to this much later: the call took that long
};

struct Sample {
  SeriesId series{};
  double value = 0;
};

}  // namespace perjoule
