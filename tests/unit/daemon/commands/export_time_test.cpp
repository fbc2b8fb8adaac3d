// The times that `export --from` and `--to` accept.
#include <doctest/doctest.h>

#include <random>
#include <string>

#include "daemon/commands/commands.hpp"
#include "tests/fakes/readings.hpp"

using namespace perjoule;

TEST_CASE("valid times") {
  const struct {
    const char* text;
    std::int64_t milliseconds;
  } table[] = {
      {"0", 0},
      {"1795514400", 1'795'514'400'000},
      {"1795514400.25", 1'795'514'400'250},
      {"1970-01-01", 0},
      {"1970-01-01T00:00:01Z", 1000},
      {"2026-11-24T10:00:00Z", 1'795'514'400'000},
      {"2026-11-24 10:00:00Z", 1'795'514'400'000},
      {"2024-02-29", 1'709'164'800'000},
      {"2000-02-29T23:59:59Z", 951'868'799'000},
      {"2026-11-24T10:00:00+01:00", 1'795'510'800'000},
      {"2026-11-24 10:00:00.25Z", 1'795'514'400'250},
  };
  for (const auto& row : table) {
    CAPTURE(row.text);
    CHECK(parse_time(row.text) == row.milliseconds);
  }
}

TEST_CASE("invalid times") {
  for (const char* text : {"",
                           "yesterday",
                           "-1",
                           "nan",
                           "inf",
                           "1e300",
                           "2026-11",
                           "2026-11-24T",
                           "2026-11-24T10",
                           "2026-11-24T10:00",
                           "2026-11-24T10:00:00",
                           "2026-11-24T10:00:00Zjunk",
                           "2026-13-01",
                           "2026-00-10",
                           "2026-01-00",
                           "2026-02-29",
                           "2026-04-31",
                           "1900-02-29",
                           "2026-11-24T24:00:00Z",
                           "2026-11-24T10:60:00Z",
                           "2026-11-24T10:00:60Z",
                           "2026-1-24",
                           "2026-11-2",
                           "-026-11-24",
                           "2026--1-24",
                           "2026/11/24",
                           "1795514400s",
                           " 2026-11-24"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_time(text));
  }
}

TEST_CASE("hostile input is refused or read as a time, and does not crash") {
  std::mt19937_64 random(61);
  for (int round = 0; round < 50'000; ++round) {
    const std::string text = hostile(random, "0123456789-:TZ. ", 24);
    CAPTURE(text);
    const auto time = parse_time(text);
    // From the year 0 to the year 9999, and seconds up to 1e11.
    if (time) CHECK((*time >= -62'167'392'000'000 && *time <= 253'402'430'400'000));
  }
}
