#include "daemon/query/evaluate/window.hpp"

#include <cmath>
#include <optional>

#include "daemon/query/evaluate/extrapolate.hpp"
#include "daemon/query/evaluate/sliding_fold.hpp"

namespace perjoule::query {
namespace {

using storage::Point;
using Points = std::span<const Point>;

// Windows with at most this many points are read point by point, also if they overlap.
constexpr std::size_t small_window = 32;

// The sum for a mean is made of values scaled by this factor, so that it does not overflow if the mean does not.
constexpr double mean_scale = 0x1p-26;

// Calls `each(step, begin, end)` for each step whose window is not empty; [begin, end) are the indexes of its points.
template <class Each>
void for_each_window(Points points, const Grid& grid, std::int64_t range_ms, const Each& each) {
  const std::size_t steps = grid.steps();
  std::size_t begin = 0;
  std::size_t end = 0;
  for (std::size_t step = 0; step < steps; ++step) {
    const std::int64_t to = grid.at(step);
    while (end < points.size() && points[end].wall_ms <= to)
      ++end;
    while (begin < end && points[begin].wall_ms < to - range_ms)
      ++begin;
    if (begin < end) each(step, begin, end);
  }
}

// In the order of Prometheus, to the last digit: if a mean is close to 0, rounding is all that is left of it.
double mean_of(Points window) {
  Sum mean;
  double count = 0;
  for (const Point& point : window) {
    count += 1;
    if (std::isinf(mean.value)) {
      // An infinite mean stays, except if the opposite infinity or NaN follows. Without this, the difference below
      // would be NaN for every finite value.
      if (std::isinf(point.value) && (mean.value > 0) == (point.value > 0)) continue;
      if (std::isfinite(point.value)) continue;
    }
    mean.add(point.value / count - mean.value / count);
  }
  return mean.total();
}

double sum_of(Points window) {
  Sum sum;
  for (const Point& point : window)
    sum.add(point.value);
  return sum.total();
}

template <class Operation>
double extreme_of(Points window) {
  double extreme = window.front().value;
  for (const Point& point : window)
    extreme = Operation::combine(extreme, point.value);
  return extreme;
}

// Computes one value per window. `small` reads the window's points; `large` uses a sliding fold, for large windows that
// overlap.
template <class Small, class Large>
void fold_windows(Points points, const Grid& grid, std::int64_t range_ms, std::span<double> out, Small small,
                  Large large) {
  const bool overlap = grid.steps() > 1 && range_ms > 2 * grid.step_ms;
  for_each_window(points, grid, range_ms, [&](std::size_t step, std::size_t begin, std::size_t end) {
    out[step] = overlap && end - begin > small_window ? large(begin, end) : small(points.subspan(begin, end - begin));
  });
}

template <class Operation>
void extremes(Points points, const Grid& grid, std::int64_t range_ms, std::span<double> out) {
  const auto lift = [points](std::size_t i) { return points[i].value; };
  SlidingFold<Operation, decltype(lift)> fold(lift);
  fold_windows(points, grid, range_ms, out, extreme_of<Operation>,
               [&fold](std::size_t begin, std::size_t end) { return fold.over(begin, end); });
}

void means(Points points, const Grid& grid, std::int64_t range_ms, std::span<double> out) {
  const auto lift = [points](std::size_t i) { return Sum{points[i].value * mean_scale, 0}; };
  SlidingFold<Adding, decltype(lift)> fold(lift);
  fold_windows(points, grid, range_ms, out, mean_of, [&fold](std::size_t begin, std::size_t end) {
    return fold.over(begin, end).total() / static_cast<double>(end - begin) / mean_scale;
  });
}

void sums(Points points, const Grid& grid, std::int64_t range_ms, std::span<double> out) {
  const auto lift = [points](std::size_t i) { return Sum{points[i].value, 0}; };
  SlidingFold<Adding, decltype(lift)> fold(lift);
  fold_windows(points, grid, range_ms, out, sum_of,
               [&fold](std::size_t begin, std::size_t end) { return fold.over(begin, end).total(); });
}

// The sum of what a counter lost at its resets in a window: at each reset, the value before it.
class Resets {
 public:
  explicit Resets(Points points) : points_(points), fold_(Lift{this}) {
    for (std::size_t i = 1; i < points.size(); ++i) {
      if (points[i].value < points[i - 1].value) at_.push_back(i);
    }
  }
  ~Resets() = default;
  Resets(const Resets&) = delete;
  Resets& operator=(const Resets&) = delete;

  // Returns `value` plus that sum, added in the order of time. `begin` and `end` must not decrease between calls.
  double add(double value, std::size_t begin, std::size_t end) {
    while (first_ < at_.size() && at_[first_] <= begin)
      ++first_;
    last_ = std::max(last_, first_);
    while (last_ < at_.size() && at_[last_] < end)
      ++last_;
    if (last_ - first_ > small_window) return value + fold_.over(first_, last_).total();
    for (std::size_t i = first_; i < last_; ++i)
      value += before(i);
    return value;
  }

 private:
  struct Lift {
    const Resets* resets;
    Sum operator()(std::size_t i) const { return {resets->before(i), 0}; }
  };
  [[nodiscard]] double before(std::size_t reset) const { return points_[at_[reset] - 1].value; }

  Points points_;
  std::vector<std::size_t> at_;
  std::size_t first_ = 0;
  std::size_t last_ = 0;
  SlidingFold<Adding, Lift> fold_;
};

struct Difference {
  bool counter = false;
  bool per_second = false;
};

double extrapolate(Points window, double difference, std::int64_t to_ms, std::int64_t range_ms, Difference kind) {
  const SampledWindow sampled{to_ms - range_ms,      to_ms,         window.front().wall_ms,
                              window.back().wall_ms, window.size(), window.front().value};
  double factor = extrapolation_factor(sampled, difference, kind.counter);
  if (kind.per_second) factor /= static_cast<double>(range_ms) / 1000;
  return difference * factor;
}

void differences(Points points, const Grid& grid, std::int64_t range_ms, std::span<double> out, Difference kind) {
  std::optional<Resets> resets;
  if (kind.counter) resets.emplace(points);
  for_each_window(points, grid, range_ms, [&](std::size_t step, std::size_t begin, std::size_t end) {
    if (end - begin < 2) return;
    double difference = points[end - 1].value - points[begin].value;
    if (resets) difference = resets->add(difference, begin, end);
    out[step] = extrapolate(points.subspan(begin, end - begin), difference, grid.at(step), range_ms, kind);
  });
}

void counts(Points points, const Grid& grid, std::int64_t range_ms, bool rolled_up, std::span<double> out) {
  if (rolled_up) return sums(points, grid, range_ms, out);
  for_each_window(points, grid, range_ms, [&](std::size_t step, std::size_t begin, std::size_t end) {
    out[step] = static_cast<double>(end - begin);
  });
}

bool any(std::span<const double> values) {
  return !std::all_of(values.begin(), values.end(), [](double value) { return is_absent(value); });
}

}  // namespace

bool select_newest(Points points, const Grid& grid, std::span<double> out) {
  for_each_window(points, grid, lookback_ms,
                  [&](std::size_t step, std::size_t, std::size_t end) { out[step] = points[end - 1].value; });
  return any(out);
}

bool over_time(Function function, Points points, const Grid& grid, std::int64_t range_ms, bool rolled_up,
               std::span<double> out) {
  switch (function) {
    case Function::rate:
      differences(points, grid, range_ms, out, {.counter = true, .per_second = true});
      break;
    case Function::increase:
      differences(points, grid, range_ms, out, {.counter = true, .per_second = false});
      break;
    case Function::delta:
      differences(points, grid, range_ms, out, {.counter = false, .per_second = false});
      break;
    case Function::avg_over_time:
      means(points, grid, range_ms, out);
      break;
    case Function::min_over_time:
      extremes<Least>(points, grid, range_ms, out);
      break;
    case Function::max_over_time:
      extremes<Greatest>(points, grid, range_ms, out);
      break;
    case Function::sum_over_time:
      sums(points, grid, range_ms, out);
      break;
    case Function::count_over_time:
      counts(points, grid, range_ms, rolled_up, out);
      break;
    case Function::last_over_time:
      for_each_window(points, grid, range_ms,
                      [&](std::size_t step, std::size_t, std::size_t end) { out[step] = points[end - 1].value; });
      break;
    default:
      break;
  }
  return any(out);
}

}  // namespace perjoule::query
