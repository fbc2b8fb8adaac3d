#include "daemon/query/evaluate/extrapolate.hpp"

#include <algorithm>

namespace perjoule::query {

double extrapolation_factor(const SampledWindow& window, double difference, bool is_counter) {
  double to_start = static_cast<double>(window.first_ms - window.from_ms) / 1000;
  const double to_end = static_cast<double>(window.to_ms - window.last_ms) / 1000;
  const double sampled = static_cast<double>(window.last_ms - window.first_ms) / 1000;
  const double distance = sampled / static_cast<double>(window.samples - 1);
  // A counter starts at zero: do not extrapolate it to before the time at which it was zero.
  if (is_counter && difference > 0 && window.first_value >= 0)
    to_start = std::min(to_start, sampled * (window.first_value / difference));
  const double threshold = distance * 1.1;
  double stretched = sampled;
  stretched += to_start < threshold ? to_start : distance / 2;
  stretched += to_end < threshold ? to_end : distance / 2;
  return stretched / sampled;
}

}  // namespace perjoule::query
