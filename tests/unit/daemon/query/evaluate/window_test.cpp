#include "daemon/query/evaluate/window.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

#include "daemon/query/evaluate/sliding_fold.hpp"

namespace perjoule::query {
namespace {

using storage::Point;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr Function range_functions[] = {Function::rate,          Function::increase,        Function::delta,
                                        Function::avg_over_time, Function::min_over_time,   Function::max_over_time,
                                        Function::sum_over_time, Function::count_over_time, Function::last_over_time};

std::vector<double> over(Function function, const std::vector<Point>& points, const Grid& grid, std::int64_t range_ms,
                         bool rolled_up = false) {
  std::vector<double> out(grid.steps(), absent);
  over_time(function, points, grid, range_ms, rolled_up, out);
  return out;
}

// At a single step, so that no window slides.
double once(Function function, const std::vector<Point>& points, std::int64_t at_ms, std::int64_t range_ms) {
  return over(function, points, {at_ms, at_ms, 0}, range_ms).front();
}

bool same(double a, double b, double tolerance) {
  if (is_absent(a) || is_absent(b)) return is_absent(a) && is_absent(b);
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b || std::fabs(a - b) <= tolerance * std::max(std::fabs(a), std::fabs(b));
}

}  // namespace

TEST_CASE("a window includes both of its ends, and nothing before it") {
  const std::vector<Point> points = {{1000, 1}, {2000, 2}, {3000, 3}};
  CHECK(once(Function::count_over_time, points, 3000, 2000) == 3);
  CHECK(once(Function::count_over_time, points, 3000, 1999) == 2);
  CHECK(once(Function::count_over_time, points, 2999, 1999) == 2);
  CHECK(is_absent(once(Function::count_over_time, points, 999, 500)));
  CHECK(is_absent(once(Function::count_over_time, points, 9000, 5999)));

  std::vector<double> out(1, absent);
  CHECK(select_newest(points, {303'000, 303'000, 0}, out));
  CHECK(out[0] == 3);
  out[0] = absent;
  CHECK_FALSE(select_newest(points, {303'001, 303'001, 0}, out));
}

TEST_CASE("rates are extrapolated to the edges of the window if the next sample may lie beyond them") {
  // Samples every 10 s that rise by 10: one more sample fits before the first, and none after the last.
  const std::vector<Point> points = {{10'000, 100}, {20'000, 110}, {30'000, 120}};
  CHECK(once(Function::increase, points, 30'000, 30'000) == doctest::Approx(30));
  CHECK(once(Function::rate, points, 30'000, 30'000) == doctest::Approx(1));
  // More than 11 s before the first sample: half of the sample distance is added.
  CHECK(once(Function::increase, points, 30'000, 60'000) == doctest::Approx(25));
  // A counter that started at zero is not extrapolated below zero.
  const std::vector<Point> fresh = {{10'000, 1}, {20'000, 11}, {30'000, 21}};
  CHECK(once(Function::increase, fresh, 30'000, 30'000) == doctest::Approx(21));
  CHECK(once(Function::delta, fresh, 30'000, 30'000) == doctest::Approx(30));
  // At a reset the value before it is added.
  const std::vector<Point> reset = {{10'000, 100}, {20'000, 110}, {30'000, 5}};
  CHECK(once(Function::increase, reset, 30'000, 20'000) == doctest::Approx(15));
  CHECK(once(Function::delta, reset, 30'000, 20'000) == doctest::Approx(-95));
  CHECK(is_absent(once(Function::rate, points, 10'000, 5'000)));  // one sample makes no rate
}

TEST_CASE("infinities, NaN and large values give the same results as in Prometheus") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Point> with_nan = {{1, nan}, {2, 5}, {3, nan}, {4, 3}};
  CHECK(once(Function::min_over_time, with_nan, 4, 10) == 3);
  CHECK(once(Function::max_over_time, with_nan, 4, 10) == 5);
  CHECK(std::isnan(once(Function::sum_over_time, with_nan, 4, 10)));
  const std::vector<Point> infinite = {{1, 1}, {2, infinity}, {3, 2}, {4, infinity}};
  CHECK(once(Function::avg_over_time, infinite, 4, 10) == infinity);
  CHECK(once(Function::sum_over_time, infinite, 4, 10) == infinity);
  CHECK(std::isnan(once(Function::avg_over_time, {{1, infinity}, {2, -infinity}}, 2, 10)));
  CHECK(once(Function::avg_over_time, {{1, 1.5e308}, {2, 1.5e308}}, 2, 10) == 1.5e308);
  CHECK(once(Function::sum_over_time, {{1, 1e100}, {2, 1}, {3, -1e100}}, 3, 10) == 1);
}

TEST_CASE("count_over_time adds the counts of roll-ups") {
  const std::vector<Point> points = {{60'000, 60}, {120'000, 58}};
  CHECK(over(Function::count_over_time, points, {120'000, 120'000, 0}, 60'000, true).front() == 118);
  CHECK(over(Function::count_over_time, points, {120'000, 120'000, 0}, 60'000, false).front() == 2);
}

// Property: sliding over overlapping windows gives the same results as reading each window separately.
TEST_CASE("sliding windows give the same results as separate windows") {
  std::mt19937 random(4711);
  const auto uniform = [&random](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  for (int round = 0; round < 150; ++round) {
    CAPTURE(round);
    const int kind = round % 5;  // 3: with infinities and NaN, 4: resets all the time
    std::vector<Point> points;
    std::int64_t at = 1'000'000;
    double value = uniform(0, 1e6);
    for (int i = 0; i < 700; ++i) {
      at += random() % 40 == 0 ? static_cast<std::int64_t>(uniform(1, 90'000))
                               : 700 + static_cast<std::int64_t>(random() % 600);
      value = random() % (kind == 4 ? 2 : 60) == 0 ? uniform(0, 10) : value + uniform(0, 300);
      double shown = kind == 1 ? uniform(-50, 700) : value;
      if (kind == 3 && random() % 30 == 0) shown = random() % 2 == 0 ? infinity : -infinity;
      if (kind == 3 && random() % 50 == 0) shown = std::numeric_limits<double>::quiet_NaN();
      points.push_back({at, shown});
    }
    const std::int64_t step = 1 + static_cast<std::int64_t>(random() % 20'000);
    const std::int64_t range = 1 + static_cast<std::int64_t>(random() % 400'000);
    const Grid grid{900'000, at + 60'000, step};
    for (const Function function : range_functions) {
      CAPTURE(static_cast<int>(function));
      const std::vector<double> slid = over(function, points, grid, range);
      bool all = true;
      for (std::size_t i = 0; i < slid.size(); i += 1 + slid.size() / 200) {
        all = all && same(slid[i], once(function, points, grid.at(i), range), 1e-12);
      }
      CHECK(all);
    }
  }
}

TEST_CASE("a fold reads each element at most twice, for any overlap of the windows") {
  std::size_t lifted = 0;
  const auto lift = [&lifted](std::size_t i) {
    ++lifted;
    return static_cast<double>(i * 7919 % 1000);
  };
  SlidingFold<Greatest, decltype(lift)> fold(lift);
  constexpr std::size_t size = 20'000;
  for (std::size_t end = 1; end <= size; ++end)
    (void)fold.over(end > 5'000 ? end - 5'000 : 0, end);
  CHECK(lifted <= 2 * size);
}

}  // namespace perjoule::query
