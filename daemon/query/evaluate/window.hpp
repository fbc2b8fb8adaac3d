// Functions over time: what `rate(x[5m])` makes of one series at every step. Pure; any thread.
//
// A window reaches from `t - range` to `t`, both inclusive, as in Prometheus 2 (its promql/functions.go says what each
// function is). A window is not read again at every step: what overlapping windows share is folded once, so that the
// cost is linear in samples and steps. Small windows and windows side by side are folded in Prometheus' own order, to
// the last bit; large ones differ from it by the rounding of a few additions.
#pragma once

#include <bit>
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
  std::int64_t step_ms = 0;  // 0: at `from_ms` alone

  [[nodiscard]] std::size_t steps() const {
    return step_ms > 0 ? static_cast<std::size_t>((to_ms - from_ms) / step_ms) + 1 : 1;
  }
  [[nodiscard]] std::int64_t at(std::size_t step) const { return from_ms + static_cast<std::int64_t>(step) * step_ms; }
};

// No value at a step. It is Prometheus' mark of staleness, a NaN that no arithmetic makes: compare bits, never values.
inline constexpr std::uint64_t absent_bits = 0x7ff0'0000'0000'0002;
inline constexpr double absent = std::bit_cast<double>(absent_bits);
constexpr bool is_absent(double value) {
  return std::bit_cast<std::uint64_t>(value) == absent_bits;
}

inline constexpr std::int64_t lookback_ms = 300'000;

// The newest sample that is at most five minutes old, at every step. `out` has a place for each step, all absent.
// False: there is none at any step.
bool select_newest(std::span<const storage::Point> points, const Grid& grid, std::span<double> out);

// The same for a function of a range. `rolled_up`: a point of count_over_time says itself how many samples it is.
bool over_time(Function function, std::span<const storage::Point> points, const Grid& grid, std::int64_t range_ms,
               bool rolled_up, std::span<double> out);

}  // namespace perjoule::query
