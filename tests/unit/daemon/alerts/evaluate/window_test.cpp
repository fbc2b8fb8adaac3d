// Expected values are those of Prometheus 2.42 for the same samples (promql/functions.go, extrapolatedRate).
#include "daemon/alerts/evaluate/window.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <deque>
#include <random>

namespace perjoule::alerts {
namespace {

Window filled(Function function, std::int64_t window_ms,
              std::initializer_list<std::pair<std::int64_t, double>> samples) {
  Window window(function, window_ms);
  for (const auto& [at_s, value] : samples)
    window.add(at_s * 1000, value);
  return window;
}

TEST_CASE("rate extrapolates to the ends of the window if the samples are near enough to them") {
  // 15 s apart, 60 s window at t=60: both ends are sampled.
  const Window whole = filled(Function::rate, 60'000, {{0, 100}, {15, 115}, {30, 130}, {45, 145}, {60, 160}});
  CHECK(*whole.value(60'000) == doctest::Approx(1.0));
  // At t=70 the sample of t=0 is outside: 45 s are sampled, and 5 s before and 10 s after are within 1.1 spacings.
  CHECK(*whole.value(70'000) == doctest::Approx(1.0));
  // At t=80: 30 to 60 s are sampled; 10 s before count in full, 20 s after exceed 16.5 s: half a spacing counts.
  CHECK(*whole.value(80'000) == doctest::Approx(30.0 * (30 + 10 + 7.5) / 30 / 60));
  // One sample is not enough for a rate.
  CHECK_FALSE(whole.value(120'000));
}

TEST_CASE("increase is not extrapolated below zero, delta is") {
  const Window rate = filled(Function::increase, 60'000, {{50, 1}, {55, 3}, {60, 5}});
  // It rises by 2 in 5 s, so it was zero 2.5 s before the first sample.
  CHECK(*rate.value(60'000) == doctest::Approx(4 * (10 + 2.5) / 10));
  const Window delta = filled(Function::delta, 60'000, {{50, 1}, {55, 3}, {60, 5}});
  CHECK(*delta.value(60'000) == doctest::Approx(4 * (10 + 2.5) / 10));
  const Window high = filled(Function::delta, 60'000, {{50, 100}, {56, 103}, {60, 105}});
  CHECK(*high.value(60'000) == doctest::Approx(5 * (10 + 2.5) / 10));
}

TEST_CASE("a counter reset is detected, also between samples that thinning merges") {
  const Window window = filled(Function::increase, 60'000, {{0, 100}, {20, 110}, {40, 4}, {60, 10}});
  CHECK(*window.value(60'000) == doctest::Approx(20));
  Window dense(Function::increase, 600'000);
  double counter = 1000;
  double counted = 0;
  for (std::int64_t second = 0; second <= 600; ++second) {
    if (second == 301) counter = 0;
    dense.add(second * 1000, counter);
    counter += 2;
    counted += 2;
  }
  CHECK(*dense.value(600'000) == doctest::Approx(counted - 2 - 2).epsilon(0.01));
}

TEST_CASE("avg, min and max include every sample of the window and both of its ends") {
  for (const auto& [function, expected] :
       {std::pair(Function::avg, 5.0), std::pair(Function::min, 2.0), std::pair(Function::max, 9.0)}) {
    const Window window = filled(function, 30'000, {{0, 100}, {10, 4}, {20, 2}, {30, 5}, {40, 9}});
    CHECK(*window.value(40'000) == doctest::Approx(expected));
    CHECK(*window.value(70'000) == 9);
    CHECK_FALSE(window.value(70'001));
  }
}

TEST_CASE("thinning ten samples a second changes rate and avg by at most 0.1 % and 1 %") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 50; ++round) {
    const std::int64_t window_ms = 60'000 + static_cast<std::int64_t>(random() % 600'000);
    Window rate(Function::rate, window_ms);
    Window average(Function::avg, window_ms);
    Window lowest(Function::min, window_ms);
    std::deque<std::pair<std::int64_t, double>> gauge;
    double counter = static_cast<double>(random() % 1000);
    const double slope = 0.001 * static_cast<double>(random() % 1000);
    std::int64_t now_ms = 0;
    for (; now_ms < 2 * window_ms; now_ms += 100) {
      counter += 0.1 * slope;
      rate.add(now_ms, counter);
      const double value = static_cast<double>(random() % 1000);
      average.add(now_ms, value);
      lowest.add(now_ms, value);
      gauge.emplace_back(now_ms, value);
    }
    now_ms -= 100;
    while (gauge.front().first < now_ms - window_ms)
      gauge.pop_front();
    double sum = 0;
    double least = 1e9;
    for (const auto& [at, value] : gauge) {
      sum += value;
      least = std::min(least, value);
    }
    CHECK(*rate.value(now_ms) == doctest::Approx(slope).epsilon(0.001));
    CHECK(*average.value(now_ms) == doctest::Approx(sum / static_cast<double>(gauge.size())).epsilon(0.01));
    CHECK(*lowest.value(now_ms) <= least);
  }
}

TEST_CASE("a sample out of order is ignored") {
  Window window = filled(Function::avg, 60'000, {{0, 1}, {10, 3}});
  window.add(5'000, 100);
  window.add(10'000, 100);
  CHECK(*window.value(10'000) == 2);
}

}  // namespace
}  // namespace perjoule::alerts
