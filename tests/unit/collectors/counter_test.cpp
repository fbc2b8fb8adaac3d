#include "collectors/counter.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

using namespace perjoule;

namespace {
constexpr std::uint64_t intel = 262143328850;
constexpr std::uint64_t amd = 65532610987;
}  // namespace

TEST_CASE("a counter below its rate limit is booked to the microjoule, over any number of wraps") {
  std::mt19937_64 random(1);
  for (std::uint64_t wrap : {intel, amd, std::uint64_t{65712999613}, std::numeric_limits<std::uint64_t>::max()}) {
    std::uint64_t raw = random() % (wrap / 2);
    std::int64_t booked = 0;
    std::int64_t truth = 0;
    for (int i = 0; i < 5000; ++i) {
      const std::int64_t interval_us = 1000 + static_cast<std::int64_t>(random() % 2'000'000);
      const auto delta = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(400 * interval_us + 1));
      const std::uint64_t room = wrap - raw;
      const std::uint64_t next = static_cast<std::uint64_t>(delta) > room ? static_cast<std::uint64_t>(delta) - room - 1
                                                                          : raw + static_cast<std::uint64_t>(delta);
      const Increment step_ = step({raw, next, wrap, 400, interval_us});
      REQUIRE(step_.verdict == StepVerdict::booked);
      booked += step_.millionths;
      truth += delta;
      raw = next;
    }
    CHECK(booked == truth);
  }
}

TEST_CASE("a counter that restarts near zero books no wrap") {
  // Half a range of 262 kJ in one second at 300 W can only be a reset.
  const Increment restarted = step({intel / 2, 1000, intel, 300, 1'000'000});
  CHECK(restarted.verdict == StepVerdict::reset);
  CHECK(restarted.millionths == 0);
  // Without a range every decrease is a reset.
  CHECK(step({5'000'000, 4'999'999, 0, 300, 1'000'000}).verdict == StepVerdict::reset);
  // A value beyond the counter's own range.
  CHECK(step({10, intel + 1, intel, 300, 1'000'000}).verdict == StepVerdict::reset);
  CHECK(step({intel + 1, 10, intel, 300, 1'000'000}).verdict == StepVerdict::reset);
}

TEST_CASE("an interval in which the counter may have wrapped twice is ambiguous") {
  // AMD: 65.5 kJ at 400 W is 164 s.
  CHECK(step({0, 1000, amd, 400, 163'000'000}).verdict == StepVerdict::booked);
  CHECK(step({0, 1000, amd, 400, 164'000'000}).verdict == StepVerdict::ambiguous);
  CHECK(step({0, 1000, 0, 400, 164'000'000}).verdict == StepVerdict::booked);
}

TEST_CASE("the gate is 1.5 times what the limit allows in the interval, and at least in 50 ms") {
  CHECK(step({0, 150'000'000, 0, 100, 1'000'000}).verdict == StepVerdict::booked);
  CHECK(step({0, 150'000'001, 0, 100, 1'000'000}).verdict == StepVerdict::reset);
  CHECK(step({0, 7'500'000, 0, 100, 1'000}).verdict == StepVerdict::booked);
  CHECK(step({0, 7'500'001, 0, 100, 1'000}).verdict == StepVerdict::reset);
}

TEST_CASE("a read that was delayed after its timestamp is not treated as a jump") {
  // 100 W, timestamps 0.1 s apart; the second read happened 0.3 s after its timestamp.
  CHECK(step({0, 40'000'000, 0, 100, 100'000}).verdict == StepVerdict::reset);
  const Increment increment = step({0, 40'000'000, 0, 100, 100'000, 300'000});
  CHECK(increment.verdict == StepVerdict::booked);
  CHECK(increment.millionths == 40'000'000);
}

TEST_CASE("for any input an increment is neither negative nor above the gate") {
  std::mt19937_64 random(2);
  const double rates[] = {
      0, 1, 400, 1e18, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()};
  for (int i = 0; i < 200'000; ++i) {
    CounterStep counter;
    counter.previous = random() >> (random() % 64);
    counter.current = random() >> (random() % 64);
    counter.wrap = random() % 3 == 0 ? 0 : random() >> (random() % 64);
    counter.rate_max = rates[random() % std::size(rates)];
    counter.interval_us = static_cast<std::int64_t>(random() >> (random() % 64));
    const Increment increment = step(counter);
    REQUIRE(increment.millionths >= 0);
    if (increment.verdict != StepVerdict::booked) REQUIRE(increment.millionths == 0);
    if (std::isnan(counter.rate_max)) REQUIRE(increment.verdict != StepVerdict::booked);
  }
}
