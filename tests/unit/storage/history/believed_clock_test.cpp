#include "storage/history/believed_clock.hpp"

#include <doctest/doctest.h>

namespace perjoule::storage {

namespace {

constexpr std::int64_t start_ms = 1795424400000;
constexpr std::int64_t hour_ms = 3'600'000;
constexpr std::int64_t year_ms = 365 * 24 * hour_ms;

BelievedClock clock_at(std::int64_t stamp_ms) {
  BelievedClock clock;
  clock.advance(stamp_ms);
  return clock;
}

// A timestamp each five seconds.
void run(BelievedClock& clock, std::int64_t from_ms, std::int64_t for_ms) {
  for (std::int64_t at_ms = from_ms; at_ms <= from_ms + for_ms; at_ms += 5'000)
    clock.advance(at_ms);
}

}  // namespace

TEST_CASE("believed clock: it is the newest timestamp, also after a step back") {
  BelievedClock clock;
  CHECK(clock.now_ms() == 0);
  clock.advance(start_ms);
  CHECK(clock.now_ms() == start_ms);
  clock.advance(start_ms + 2 * hour_ms);
  CHECK(clock.now_ms() == start_ms + 2 * hour_ms);
  clock.advance(start_ms - year_ms);
  CHECK(clock.now_ms() == start_ms - year_ms);
}

TEST_CASE("believed clock: a year ahead for a while is not trusted, and has no effect afterwards") {
  BelievedClock clock = clock_at(start_ms);
  run(clock, start_ms + year_ms, 23 * hour_ms);
  CHECK(clock.now_ms() == start_ms);
  clock.advance(start_ms + 23 * hour_ms);
  CHECK(clock.now_ms() == start_ms);  // this step is more than two hours, too, and needs its own day
  run(clock, start_ms + 23 * hour_ms, 24 * hour_ms);
  CHECK(clock.now_ms() == start_ms + 47 * hour_ms);
}

TEST_CASE("believed clock: timestamps that follow a step for a day are trusted") {
  BelievedClock clock = clock_at(start_ms);
  run(clock, start_ms + year_ms, 24 * hour_ms - 1);
  CHECK(clock.now_ms() == start_ms);
  clock.advance(start_ms + year_ms + 24 * hour_ms);
  CHECK(clock.now_ms() == start_ms + year_ms + 24 * hour_ms);
}

TEST_CASE("believed clock: a second step ahead does not confirm the first") {
  BelievedClock clock = clock_at(start_ms);
  clock.advance(start_ms + year_ms);
  clock.advance(start_ms + 2 * year_ms);
  CHECK(clock.now_ms() == start_ms);
  clock.advance(start_ms + year_ms + hour_ms);  // back again, but still ahead
  run(clock, start_ms + year_ms + hour_ms, 23 * hour_ms);
  CHECK(clock.now_ms() == start_ms);
}

TEST_CASE("believed clock: a later process continues from the stored state, which is an hour old at most") {
  BelievedClock clock = clock_at(start_ms);
  const BelievedClock::State kept = clock.state();
  run(clock, start_ms, hour_ms);
  CHECK_FALSE(clock.differs(kept));
  clock.advance(start_ms + hour_ms + 1);
  CHECK(clock.differs(kept));

  const BelievedClock::State hour_later = clock.state();
  clock.advance(start_ms + year_ms);
  CHECK(clock.differs(hour_later));
  // A real step is trusted after a day even with a restart each hour.
  for (std::int64_t hour = 0; hour < 24; ++hour) {
    BelievedClock again(clock.state());
    run(again, start_ms + year_ms + hour * hour_ms, hour_ms);
    clock = again;
  }
  CHECK(clock.now_ms() == start_ms + year_ms + 24 * hour_ms);
}

}  // namespace perjoule::storage
