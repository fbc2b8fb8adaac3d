#include "daemon/http/pace.hpp"

#include <doctest/doctest.h>

using perjoule::http::Pace;
using namespace std::chrono_literals;

TEST_CASE("pace: a burst without delay, then the rate; a pause allows a burst again") {
  Pace::Clock::time_point now{1h};
  Pace pace(10, 5, now);
  for (int i = 0; i < 5; ++i)
    CHECK(pace.take_token(now) == 0ns);
  for (int round = 0; round < 100; ++round) {
    auto wait = pace.take_token(now);
    CHECK(wait > 99ms);
    CHECK(wait < 101ms);
    now += wait;
  }
  now += 1h;
  for (int i = 0; i < 5; ++i)
    CHECK(pace.take_token(now) == 0ns);
  CHECK(pace.take_token(now) > 0ns);
}

TEST_CASE("pace: a rate of 0 is no limit, a burst of 0 allows one request at a time") {
  Pace::Clock::time_point now{1h};
  Pace unlimited(0, 1, now);
  for (int i = 0; i < 1000; ++i)
    CHECK(unlimited.take_token(now) == 0ns);
  Pace single(1, 0, now);
  CHECK(single.take_token(now) == 0ns);
  CHECK(single.take_token(now) > 900ms);
}
