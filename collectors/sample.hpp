// One number of one series at one moment. Values only; any thread.
#pragma once

#include <cstdint>

namespace perjoule {

// Identity of (metric, label values) for the life of the process; daemon/series gives it out.
enum class SeriesId : std::uint32_t {};

// `steady_ns` is CLOCK_BOOTTIME (it counts suspend, and goes on over a restart of the daemon): intervals are taken on
// it. `wall_ms` is CLOCK_REALTIME in milliseconds since the epoch: only for showing and storing.
struct Stamp {
  std::int64_t steady_ns = 0;
  std::int64_t wall_ms = 0;
  std::int64_t uncertainty_ns = 0;  // what it stamps may have been read up to this much later: the call took that long
};

struct Sample {
  SeriesId series{};
  double value = 0;
};

}  // namespace perjoule
