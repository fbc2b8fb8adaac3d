// The samples of one series in the window of a rule, and a function of them. Loop's thread only; times in milliseconds
// of one clock.
//
// The functions are those of Prometheus 2.42 (promql/functions.go: extrapolatedRate, avg_over_time, ...), so that a
// rule and its translation for Prometheus give the same value. The window includes both of its ends. rate, increase and
// delta require two samples in it and extrapolate to its ends (daemon/query/evaluate/extrapolate.hpp).
//
// Memory is bounded: samples closer than 1/120 of the window are merged into one point. avg, min and max still include
// every sample, and counter resets are detected in every sample; rate and delta lose at most that much in time.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "daemon/alerts/rules/rule.hpp"

namespace perjoule::alerts {

class Window {
 public:
  Window(Function function, std::int64_t window_ms) : function_(function), window_ms_(window_ms) {}

  // Ignores a sample that is not later than the newest. Drops points that have left the window.
  void add(std::int64_t at_ms, double value);
  [[nodiscard]] std::int64_t newest_ms() const { return points_.empty() ? 0 : points_.back().at_ms; }
  // Nothing if the window has too few samples.
  [[nodiscard]] std::optional<double> value(std::int64_t now_ms) const;

 private:
  struct Point {
    std::int64_t at_ms = 0;
    // delta:           as read
    // rate, increase:  as read, plus what the counter lost at all resets so far
    // avg, min, max:   the mean, minimum or maximum of the samples merged into this point
    double value = 0;
    // rate, increase:  as read
    // avg:             how many samples were merged into this point
    double aside = 0;
  };
  void merge(Point& point, std::int64_t at_ms, double value) const;
  [[nodiscard]] std::optional<double> extrapolated(std::size_t first, std::int64_t now_ms) const;
  [[nodiscard]] double over_time(std::size_t first) const;
  [[nodiscard]] bool is_counter() const { return function_ == Function::rate || function_ == Function::increase; }

  Function function_;
  std::int64_t window_ms_;
  std::deque<Point> points_;
  double fallen_ = 0;  // counters: sum of the readings before each reset
  double read_ = 0;    // counters: the last reading
};

}  // namespace perjoule::alerts
