// One value of one series, and the time of a reading. Values only; any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace perjoule {

// Identity of (metric, label values) while the process runs; assigned by daemon/record/series. The low 24 bits are a
// place in the tables of series, which another series gets when this one is dropped; the others are a number that is
// given once, so that a later series has a larger id.
enum class SeriesId : std::uint64_t {};
inline constexpr unsigned place_bits = 24;
constexpr std::size_t place_of(SeriesId id) {
  return static_cast<std::size_t>(static_cast<std::uint64_t>(id) & ((std::uint64_t{1} << place_bits) - 1));
}

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
