#include <doctest/doctest.h>

#include <random>
#include <string>

#include "config/text.hpp"

namespace perjoule::text {

TEST_CASE("rfc3339: three ways to write the decimals") {
  CHECK(rfc3339(1'795'514'400'000) == "2026-11-24T10:00:00Z");
  CHECK(rfc3339(1'795'514'400'100) == "2026-11-24T10:00:00.1Z");
  CHECK(rfc3339(1'795'514'400'001) == "2026-11-24T10:00:00.001Z");
  CHECK(rfc3339(1'795'514'400'120, Decimals::three) == "2026-11-24T10:00:00.120Z");
  CHECK(rfc3339(1'795'514'400'000, Decimals::three) == "2026-11-24T10:00:00.000Z");
  CHECK(rfc3339(1'795'514'400'999, Decimals::none) == "2026-11-24T10:00:00Z");
  CHECK(rfc3339(-5) == "1969-12-31T23:59:59.995Z");
}

TEST_CASE("rfc3339 reads what it wrote") {
  std::mt19937_64 random(3);
  for (int i = 0; i < 20'000; ++i) {
    const auto ms = static_cast<std::int64_t>(random() % 300'000'000'000'000) - 62'000'000'000'000;
    if (ms >= 253'402'300'800'000) continue;  // the year 10000 has five digits
    CHECK(parse_rfc3339(rfc3339(ms)) == ms);
    CHECK(parse_rfc3339(rfc3339(ms, Decimals::three)) == ms);
  }
}

TEST_CASE("rfc3339: zones, and dates that do not exist") {
  CHECK(parse_rfc3339("2015-07-01T22:10:51.7819+02:00") == 1435781451781);
  CHECK(parse_rfc3339("2024-02-29T00:00:00Z") == 1'709'164'800'000);
  for (const char* text : {"", "2023-02-29T00:00:00Z", "2015-07-01T24:00:00Z", "2015-07-01T10:00:60Z",
                           "2015-07-01T20:10:51", "2015-07-01T20:10:51.Z", "2015-07-01 20:10:51Z",
                           "2015-07-01T20:10:51+2:00", "2015-07-01T20:10:51ZZ", "-015-07-01T20:10:51Z"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_rfc3339(text));
  }
}

TEST_CASE("durations: each fault is named") {
  constexpr std::int64_t max_ms = 1'000'000'000;
  CHECK(parse_duration("1d2h3m4s5ms", max_ms).ms == 93'784'005);
  CHECK(parse_duration("0s", max_ms).ms == 0);
  for (const auto& wrong :
       {std::pair("", DurationFault::malformed), std::pair("s", DurationFault::malformed),
        std::pair("5x", DurationFault::malformed), std::pair("5", DurationFault::no_unit),
        std::pair("1m5", DurationFault::no_unit), std::pair("1s1m", DurationFault::unit_order),
        std::pair("1s1s", DurationFault::unit_order), std::pair("1y", DurationFault::too_long),
        std::pair("99999999999999999999s", DurationFault::too_long), std::pair("-1s", DurationFault::malformed)}) {
    CAPTURE(wrong.first);
    CHECK(parse_duration(wrong.first, max_ms).fault == wrong.second);
  }
}

TEST_CASE("quoted strings are valid JSON, whatever bytes they hold") {
  CHECK(quoted("a\"\\\n\x01\x7F\xC3\xA9\xFF") == "\"a\\\"\\\\\\n\\u0001\\u007f\xC3\xA9\xEF\xBF\xBD\"");
  CHECK(lower("ABC-xyz-0") == "abc-xyz-0");
  CHECK(equal_ignoring_case("NaN", "nan"));
  CHECK_FALSE(equal_ignoring_case("nan ", "nan"));
}

}  // namespace perjoule::text
