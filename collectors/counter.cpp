#include "collectors/counter.hpp"

#include <algorithm>

namespace perjoule {

namespace {
constexpr double gate_factor = 1.5;
constexpr double update_seconds = 0.05;
constexpr double millionths_per_unit = 1e6;
constexpr double increment_max = 9e18;
}  // namespace

Increment step(const CounterStep& counter) {
  const double apart_us = static_cast<double>(counter.interval_us) + static_cast<double>(counter.doubt_us);
  const double seconds = std::max(apart_us / 1e6, 0.0);
  const double largest = counter.rate_max * millionths_per_unit * seconds;
  if (counter.wrap > 0 && (counter.previous > counter.wrap || counter.current > counter.wrap))
    return {StepVerdict::reset, 0};
  if (counter.wrap > 0 && largest >= static_cast<double>(counter.wrap)) return {StepVerdict::ambiguous, 0};
  std::uint64_t delta = 0;
  if (counter.current >= counter.previous) {
    delta = counter.current - counter.previous;
  } else if (counter.wrap > 0) {
    delta = counter.wrap - counter.previous + counter.current + 1;
  } else {
    return {StepVerdict::reset, 0};
  }
  const double gate = gate_factor * std::max(largest, counter.rate_max * millionths_per_unit * update_seconds);
  // `!(a <= b)` rather than `a > b`, so that a NaN gate books nothing; increment_max keeps the cast from overflowing.
  if (!(static_cast<double>(delta) <= std::min(gate, increment_max))) return {StepVerdict::reset, 0};
  return {StepVerdict::booked, static_cast<std::int64_t>(delta)};
}

}  // namespace perjoule
