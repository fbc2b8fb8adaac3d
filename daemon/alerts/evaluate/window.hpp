// The samples of one series over a rule's window, thinned to about 1/120 of it, and what a function makes of them.
//
// The functions are Prometheus 2.42's (promql/functions.go: extrapolatedRate, avg_over_time, ..), so that a rule and
// its translation agree: both ends of the window belong to it, rate, increase and delta want two samples in it and
// extrapolate to its ends, but not beyond zero and not further than the spacing of the samples allows. A counter's
// resets are seen in every sample, also in those that thinning leaves out.
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

  // What is no later than the newest is passed over. What has left the window is forgotten.
  void add(std::int64_t at_ms, double value);
  [[nodiscard]] std::int64_t newest_ms() const { return points_.empty() ? 0 : points_.back().at_ms; }
  // Nothing where the window holds too few samples.
  [[nodiscard]] std::optional<double> value(std::int64_t now_ms) const;

 private:
  struct Point {
    std::int64_t at_ms = 0;
    double value =
        0;  // rate, increase: with every fall before it added; avg, min, max: of all samples since the point before
    double aside = 0;  // rate, increase: as read; avg: how many samples
  };
  void merge(Point& point, std::int64_t at_ms, double value) const;
  [[nodiscard]] std::optional<double> extrapolated(std::size_t first, std::int64_t now_ms) const;
  [[nodiscard]] double over_time(std::size_t first) const;
  [[nodiscard]] bool is_counter() const { return function_ == Function::rate || function_ == Function::increase; }

  Function function_;
  std::int64_t window_ms_;
  std::deque<Point> points_;
  double fallen_ = 0;  // sum of what the counter had at each reset
  double read_ = 0;    // as read the last time
};

}  // namespace perjoule::alerts
