#include "daemon/query/promql/literal.hpp"

#include <doctest/doctest.h>

#include <cmath>

namespace perjoule::query {
namespace {

TEST_CASE("numbers are read as Go reads them") {
  CHECK(read_number("1") == 1.0);
  CHECK(read_number("1e3") == 1000.0);
  CHECK(read_number(".5") == 0.5);
  CHECK(read_number("5.") == 5.0);
  CHECK(read_number("0x1F") == 31.0);
  CHECK(read_number("017") == 15.0);
  CHECK(read_number("08") == 8.0);
  CHECK(read_number("9223372036854775807") == 9223372036854775807.0);
  CHECK(read_number("92233720368547758070") == 92233720368547758070.0);
  CHECK(read_number("1e-400") == 0.0);
  CHECK(std::isinf(*read_number("Inf")));
  CHECK(std::isnan(*read_number("nan")));
  for (const char* text : {"", "1e", "0x", "0x1.8", "1e999", "1.2.3", "abc", "1_000", "--1", "0x10000000000000000"}) {
    CAPTURE(text);
    CHECK_FALSE(read_number(text));
  }
}

TEST_CASE("a duration is the sum of its units, largest first") {
  CHECK(read_duration("5m") == 300'000);
  CHECK(read_duration("1h30m") == 5'400'000);
  CHECK(read_duration("1y2w3d4h5m6s7ms") == 31'536'000'000 + 1'209'600'000 + 259'200'000 + 14'400'000 + 306'007);
  CHECK(read_duration("250ms") == 250);
  CHECK(read_duration("0") == 0);
  CHECK(read_duration("292y") == 9'208'512'000'000);
  for (const char* text : {"", "5", "m", "5x", "1m1h", "5m5m", "1s1m", "5mm", "-5m", "1.5m", "300y",
                           "99999999999999999999s", "5m ", " 5m"}) {
    CAPTURE(text);
    CHECK_FALSE(read_duration(text));
  }
}

TEST_CASE("all three kinds of quotes, with Go's escapes") {
  CHECK(unquote(R"("a b")") == "a b");
  CHECK(unquote(R"('a "b"')") == "a \"b\"");
  CHECK(unquote(R"("\a\b\f\n\r\t\v\\\"")") == "\a\b\f\n\r\t\v\\\"");
  CHECK(unquote(R"('\'')") == "'");
  CHECK(unquote(R"("\x41\102\u00e9\U0001F600")") == "AB\xC3\xA9\xF0\x9F\x98\x80");
  CHECK(unquote(R"(`\n"'`)") == "\\n\"'");
  for (const char* text : {"", "\"", R"("\q")", R"("\'")", R"('\"')", R"("\x4")", R"("\400")", R"("\ud800")",
                           R"("\U00110000")", R"("\)", "\"a'"}) {
    CAPTURE(text);
    CHECK_FALSE(unquote(text));
  }
}

TEST_CASE("a time is seconds or RFC 3339") {
  CHECK(read_time("4") == 4000);
  CHECK(read_time("1435781451.781") == 1435781451781);
  CHECK(read_time("1435781451.7809") == 1435781451781);
  CHECK(read_time("1.4e9") == 1'400'000'000'000);
  CHECK(read_time("-1.5") == -1500);
  CHECK(read_time("1970-01-01T00:00:01Z") == 1000);
  CHECK(read_time("2015-07-01T20:10:51.781Z") == 1435781451781);
  CHECK(read_time("2015-07-01T22:10:51.7819+02:00") == 1435781451781);
  for (const char* text :
       {"", "now", "NaN", "Inf", "1e300", "2015-07-01", "2015-02-30T00:00:00Z", "2015-07-01T20:10:51",
        "2015-07-01T24:00:00Z", "2015-07-01T20:10:51.Z", "2015-07-01 20:10:51Z", "1s"}) {
    CAPTURE(text);
    CHECK_FALSE(read_time(text));
  }
}

TEST_CASE("a step is seconds or a duration") {
  CHECK(read_step("15") == 15'000);
  CHECK(read_step("0.25") == 250);
  CHECK(read_step("1m30s") == 90'000);
  CHECK(read_step("-1") == -1000);
  CHECK(read_step("0.0001") == 0);
  CHECK_FALSE(read_step("1e30"));
  CHECK_FALSE(read_step("x"));
  CHECK_FALSE(read_step("NaN"));
}

}  // namespace
}  // namespace perjoule::query
