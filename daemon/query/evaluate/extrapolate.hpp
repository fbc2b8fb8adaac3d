// Prometheus' extrapolatedRate (promql/functions.go of 2.42), for rate, increase and delta of queries and alert rules.
// Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace perjoule::query {

// What a window holds of one series.
struct SampledWindow {
  std::int64_t from_ms = 0;  // the window, both ends inclusive
  std::int64_t to_ms = 0;
  std::int64_t first_ms = 0;  // the samples in it: at least two, at different times
  std::int64_t last_ms = 0;
  std::size_t samples = 0;
  double first_value = 0;  // as read; a counter is not extrapolated to below zero
};

// By what to multiply `difference`, the change between the first and the last sample (of a counter with what it lost at
// resets), to get the change over the whole window. The samples' span is stretched to an end of the window when that
// end is closer than 1.1 times the samples' mean distance, so that the next sample may lie beyond it, and else by half
// that distance. For a rate the caller divides the factor by the window's seconds first, as Prometheus does: the same
// operations in the same order give the same last digit.
[[nodiscard]] double extrapolation_factor(const SampledWindow& window, double difference, bool is_counter);

}  // namespace perjoule::query
