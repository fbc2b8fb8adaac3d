// The samples of one series over a rule's window, thinned to about 120 points, and the value of a function of them.
//
// The functions are those of Prometheus 2.42 (promql/functions.go: extrapolatedRate, avg_over_time, ..), so that a rule
// and its translation for Prometheus give the same value. Both ends of the window belong to it. rate, increase and
// delta require two samples in it and extrapolate to its ends (daemon/query/evaluate/extrapolate.hpp). Resets of a
// counter are looked for in every sample, also in those that thinning drops.
//
// Loop's thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "daemon/alerts/rules/rule.hpp"

namespace perjoule::alerts {

class Window {
 public:
  Window(Function function, std::int64_t window_ms) : function_(function), window_ms_(window_ms) {}

  // A sample that is not later than the newest is ignored. Samples that have left the window are dropped.
  void add(std::int64_t at_ms, double value);
  [[nodiscard]] std::int64_t newest_ms() const { return points_.empty() ? 0 : points_.back().at_ms; }
  // Nothing when the window holds too few samples.
  [[nodiscard]] std::optional<double> value(std::int64_t now_ms) const;

 private:
  struct Point {
    std::int64_t at_ms = 0;
    // rate, increase: the reading plus what the counter lost at each reset before it.
    // avg, min, max: of all samples since the point before.
    double value = 0;
    double aside = 0;  // rate, increase: as read; avg: how many samples
  };
  void merge(Point& point, std::int64_t at_ms, double value) const;
  [[nodiscard]] std::optional<double> extrapolated(std::size_t first, std::int64_t now_ms) const;
  [[nodiscard]] double over_time(std::size_t first) const;
  [[nodiscard]] bool is_counter() const { return function_ == Function::rate || function_ == Function::increase; }

  Function function_;
  std::int64_t window_ms_;
  std::deque<Point> points_;
  double fallen_ = 0;  // sum of the readings before each reset
  double read_ = 0;    // the last reading
};

}  // namespace perjoule::alerts
