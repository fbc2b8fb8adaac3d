// Functions over time, such as `rate(x[5m])`, of one series at every step of a grid. Pure; any thread.
//
// A window reaches from `t - range` to `t`, both inclusive, as in Prometheus 2 (promql/functions.go defines the
// functions). Overlapping windows share partial results (sliding_fold.hpp), so that the cost is linear in samples plus
// steps. Windows that are small or hardly overlap are computed in Prometheus' own order and give the same bits; for the
// others the result differs by the rounding of a few additions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "daemon/query/promql/expression.hpp"
#include "storage/store.hpp"

namespace perjoule::query {

// The times at which an expression is evaluated.
struct Grid {
  std::int64_t from_ms = 0;
  std::int64_t to_ms = 0;    // inclusive
  std::int64_t step_ms = 0;  // 0: only at `from_ms`

  [[nodiscard]] std::size_t steps() const {
    return step_ms > 0 ? static_cast<std::size_t>((to_ms - from_ms) / step_ms) + 1 : 1;
  }
  [[nodiscard]] std::int64_t at(std::size_t step) const { return from_ms + static_cast<std::int64_t>(step) * step_ms; }
};

// A step without a value has the value that ends a series in the history: a selector that finds it has found nothing.
inline constexpr double absent = storage::end_mark;
constexpr bool is_absent(double value) {
  return storage::is_end_mark(value);
}

inline constexpr std::int64_t lookback_ms = 300'000;

// Writes the newest sample that is at most five minutes old, for every step. `out` has one element per step, all of
// them absent before the call. False if no step has a sample.
bool select_newest(std::span<const storage::Point> points, const Grid& grid, std::span<double> out);

// The same for a function of a range. `rolled_up`: the points are from roll-ups; for count_over_time the value of each
// is then a number of samples.
bool over_time(Function function, std::span<const storage::Point> points, const Grid& grid, std::int64_t range_ms,
               bool rolled_up, std::span<double> out);

}  // namespace perjoule::query
