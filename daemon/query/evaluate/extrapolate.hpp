// Prometheus' extrapolatedRate (promql/functions.go of 2.42), for rate, increase and delta in queries and alert rules.
// Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace perjoule::query {

// The samples of one series in a window. Times in milliseconds, of one clock.
struct SampledWindow {
  std::int64_t from_ms = 0;  // the window, both ends inclusive
  std::int64_t to_ms = 0;
  std::int64_t first_ms = 0;  // first and last sample in it, at different times
  std::int64_t last_ms = 0;
  std::size_t samples = 0;  // at least two
  double first_value = 0;   // as read; a counter is not extrapolated to below zero
};

// The factor by which to multiply `difference` to get the change over the whole window. `difference`: the change
// between the first and the last sample, for a counter including what it lost at resets. At each end of the window the
// span of the samples is extended to that end if it is closer than 1.1 times the mean distance of the samples, because
// then the neighbouring sample may lie beyond it; otherwise by half that distance. A counter is not extended to before
// the moment at which it would have been zero. For a rate the caller first divides the
// factor by the window's seconds, as Prometheus does: the same operations in the same order give the same last digit.
[[nodiscard]] double extrapolation_factor(const SampledWindow& window, double difference, bool is_counter);

}  // namespace perjoule::query
