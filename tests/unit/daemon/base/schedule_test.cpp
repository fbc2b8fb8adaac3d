#include "daemon/base/schedule.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <random>

using namespace perjoule;

namespace {

constexpr std::int64_t millisecond = 1'000'000;
constexpr std::int64_t second = 1'000 * millisecond;

// A pair of clocks: the wall clock runs at an offset from the steady clock, which steps change.
struct Clocks {
  std::int64_t steady_ns = 0;
  std::int64_t wall_offset_ms = 0;
  [[nodiscard]] Stamp at(std::int64_t ns) const { return {ns, ns / millisecond + wall_offset_ms}; }
  [[nodiscard]] Stamp now() const { return at(steady_ns); }
  [[nodiscard]] std::int64_t distance_from_grid(std::int64_t due_ns, std::int64_t period_ns) const {
    const std::int64_t off = (due_ns + wall_offset_ms * millisecond) % period_ns;
    return std::min(off, period_ns - off);
  }
};

}  // namespace

TEST_CASE("the first due time is the next multiple of the period on the wall clock") {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    const std::int64_t period = static_cast<std::int64_t>(100 + random() % 59'900) * millisecond;
    Clocks clocks{static_cast<std::int64_t>(random() % 1'000'000) * millisecond,
                  static_cast<std::int64_t>(random() % 2'000'000'000'000)};
    const Schedule::Due due = Schedule(period).next(clocks.now());
    CHECK(due.missed == 0);
    CHECK(due.steady_ns >= clocks.steady_ns);
    CHECK(due.steady_ns < clocks.steady_ns + period);
    CHECK(clocks.distance_from_grid(due.steady_ns, period) == 0);
  }
}

TEST_CASE("due times do not drift over a day, however late each call starts") {
  std::mt19937_64 random(2);
  Clocks clocks{12'345'678'901, 1'795'424'400'123};
  Schedule schedule(second);
  const std::int64_t first = schedule.next(clocks.now()).steady_ns;
  std::int64_t due = first;
  for (int tick = 1; tick <= 86'400; ++tick) {
    clocks.steady_ns = due + static_cast<std::int64_t>(random() % (second - 1));
    const Schedule::Due next = schedule.next(clocks.now());
    REQUIRE(next.missed == 0);
    REQUIRE(next.steady_ns == first + tick * second);
    due = next.steady_ns;
  }
}

TEST_CASE("due times during a stall count as missed, and there is no burst to catch up") {
  std::mt19937_64 random(3);
  Clocks clocks{0, 1'795'424'400'000};
  Schedule schedule(second);
  std::int64_t last = schedule.next(clocks.now()).steady_ns;
  for (int round = 0; round < 1000; ++round) {
    clocks.steady_ns = last + static_cast<std::int64_t>(random() % 20'000) * millisecond;
    const Schedule::Due due = schedule.next(clocks.now());
    // Every due time between the last one and this one is counted, and at most one of them is still run late.
    CHECK(due.steady_ns == last + static_cast<std::int64_t>(due.missed + 1) * second);
    CHECK(due.steady_ns > clocks.steady_ns - second);
    CHECK(due.steady_ns <= std::max(clocks.steady_ns, last + second));
    last = due.steady_ns;
  }
}

TEST_CASE("a wall clock step re-aligns by at most half a period, either way; due times never decrease") {
  std::mt19937_64 random(4);
  for (const std::int64_t period : {100 * millisecond, second, 5 * second, 60 * second}) {
    Clocks clocks{777 * second, 1'795'424'400'000};
    Schedule schedule(period);
    std::int64_t last = schedule.next(clocks.now()).steady_ns;
    for (int round = 0; round < 500; ++round) {
      clocks.wall_offset_ms += static_cast<std::int64_t>(random() % 7'200'000) - 3'600'000;
      clocks.steady_ns = last + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(period));
      const Schedule::Due due = schedule.next(clocks.now());
      CHECK(due.missed == 0);
      CHECK(due.steady_ns > last);
      CHECK(std::abs(due.steady_ns - (last + period)) <= period / 2);
      CHECK(clocks.distance_from_grid(due.steady_ns, period) <= std::max(period / 20, 2 * millisecond) + millisecond);
      last = due.steady_ns;
    }
  }
}

TEST_CASE("a slewing clock moves the grid only when it is off by more than a twentieth of the period") {
  Clocks clocks{0, 1'795'424'400'000};
  Schedule schedule(second);
  std::int64_t last = schedule.next(clocks.now()).steady_ns;
  int moves = 0;
  for (int tick = 0; tick < 1000; ++tick) {
    clocks.wall_offset_ms += 1;
    clocks.steady_ns = last;
    const std::int64_t due = schedule.next(clocks.now()).steady_ns;
    moves += due != last + second ? 1 : 0;
    CHECK(clocks.distance_from_grid(due, second) <= second / 20);
    last = due;
  }
  CHECK(moves == 1000 / 51);
}
