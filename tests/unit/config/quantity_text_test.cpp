#include "config/quantity_text.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

namespace perjoule::config {
namespace {

TEST_CASE("quantities are read in their base unit") {
  struct Case {
    Checked<double> (*parse)(std::string_view);
    std::string_view text;
    double value;
  };
  const Case cases[] = {
      {parse_duration, "5s", 5},
      {parse_duration, "900ms", 0.9},
      {parse_duration, "1h30m", 5400},
      {parse_duration, "2w", 1209600},
      {parse_duration, "1y2w3d4h5m6s7ms", 365 * 86400 + 17 * 86400 + 4 * 3600 + 5 * 60 + 6.007},
      {parse_duration, "0s", 0},
      {parse_duration, "1000y", 365'000.0 * 86400},
      {parse_size, "512 MiB", 512.0 * 1048576},
      {parse_size, "512MiB", 512.0 * 1048576},
      {parse_size, "1 KiB", 1024},
      {parse_size, "3GiB", 3.0 * 1073741824},
      {parse_power, "250 W", 250},
      {parse_power, "1.2 kW", 1200},
      {parse_power, "0.5W", 0.5},
      {parse_number, "-0.25", -0.25},
      {parse_number, "1e3", 1000},
      {parse_integer, "-40", -40},
      {parse_integer, "9007199254740992", 9007199254740992.0},
  };
  for (const Case& one : cases) {
    CAPTURE(one.text);
    const Checked<double> value = one.parse(one.text);
    REQUIRE(value.has_value());
    CHECK(*value == one.value);
  }
  CHECK(*parse_boolean("true") == true);
  CHECK(*parse_boolean("false") == false);
}

TEST_CASE("an invalid quantity is refused with the error and the expected form") {
  constexpr std::string_view durations = "write whole numbers with units, such as 5s, 1h30m or 30d (ms s m h d w y)";
  constexpr std::string_view powers = "write it in W or kW, such as 250 W or 1.2 kW";
  struct Case {
    Checked<double> (*parse)(std::string_view);
    std::string_view text;
    std::string_view what;
    std::string_view help;
  };
  const Case cases[] = {
      {parse_duration, "", "\"\" is not a duration", durations},
      {parse_duration, "5", "\"5\" has no unit", "write 5s for seconds (ms s m h d w y)"},
      {parse_duration, "1x", "\"1x\" is not a duration", durations},
      {parse_duration, "1.5s", "\"1.5s\" is not a duration", durations},
      {parse_duration, "-5s", "\"-5s\" is not a duration", durations},
      {parse_duration, "5 s", "\"5 s\" is not a duration", durations},
      {parse_duration, "1m1h", "\"1m1h\": units must go from large to small, each at most once", durations},
      {parse_duration, "1s1s", "\"1s1s\": units must go from large to small, each at most once", durations},
      {parse_duration, "1001y", "\"1001y\" is longer than 1000 years", ""},
      {parse_duration, "99999999999999999999s", "\"99999999999999999999s\" is longer than 1000 years", ""},
      {parse_size, "512 MB", "\"512 MB\" is not a size", "write 512 MiB; sizes are binary: KiB MiB GiB"},
      {parse_size, "512M", "\"512M\" is not a size", "write 512 MiB; sizes are binary: KiB MiB GiB"},
      {parse_size, "4 kB", "\"4 kB\" is not a size", "write 4 KiB; sizes are binary: KiB MiB GiB"},
      {parse_size, "512 B", "\"512 B\" is not a size", "sizes are written in KiB, MiB or GiB, such as 512 MiB"},
      {parse_size, "512", "\"512\" is not a size", "sizes are written in KiB, MiB or GiB, such as 512 MiB"},
      {parse_size, "1.5 GiB", "\"1.5 GiB\" is not a size",
       "write a whole number with its unit, such as 512 MiB (KiB MiB GiB)"},
      {parse_size, "-1 GiB", "\"-1 GiB\" is not a size",
       "write a whole number with its unit, such as 512 MiB (KiB MiB GiB)"},
      {parse_size, "9999999999 GiB", "\"9999999999 GiB\" is too large", ""},
      {parse_power, "250", "\"250\" has no unit", "write 250 W or 250 kW"},
      {parse_power, "-1 W", "\"-1 W\" is not a power", powers},
      {parse_power, "1  W", "\"1  W\" is not a power", powers},
      {parse_power, "nan W", "\"nan W\" is not a power", powers},
      {parse_power, "1e308 kW", "\"1e308 kW\" is not a power", powers},
      {parse_power, "W", "\"W\" is not a power", powers},
      {parse_number, "inf", "\"inf\" is not a number", ""},
      {parse_number, "1,5", "\"1,5\" is not a number", ""},
      {parse_integer, "1.0", "\"1.0\" is not a whole number", ""},
      {parse_integer, "9007199254740993", "\"9007199254740993\" is not a whole number", ""},
  };
  for (const Case& one : cases) {
    CAPTURE(one.text);
    const Checked<double> value = one.parse(one.text);
    REQUIRE(value.has_error());
    CHECK(value.error().what == one.what);
    CHECK(value.error().help == one.help);
  }
  CHECK(parse_boolean("yes").error().help == "write true or false");
}

TEST_CASE("formatted quantities read back the same") {
  CHECK(format_duration(0) == "0s");
  CHECK(format_duration(5400) == "1h30m");
  CHECK(format_duration(0.9) == "900ms");
  CHECK(format_duration(30 * 86400.0) == "30d");
  CHECK(format_duration(365 * 86400.0) == "1y");
  CHECK(format_size(512.0 * 1048576) == "512 MiB");
  CHECK(format_size(1536) == "1 KiB");  // not a size that can be written: sizes are read in whole KiB
  CHECK(format_power(1200) == "1.2 kW");
  CHECK(format_power(250) == "250 W");
  CHECK(format_number(1e21) == "1000000000000000000000");

  std::mt19937_64 random(3);
  auto below = [&random](std::uint64_t limit) { return static_cast<double>(random() % limit); };
  for (int round = 0; round < 20000; ++round) {
    // Of every magnitude: most random 64-bit numbers are large.
    const std::uint64_t limit = std::uint64_t{1} << (random() % 44 + 1);
    const double seconds = below(limit) / 1000.0;
    const double bytes = below(std::min<std::uint64_t>(limit, std::uint64_t{1} << 43)) * 1024;
    const double watts = std::ldexp(below(limit), -static_cast<int>(random() % 40));
    REQUIRE(*parse_duration(format_duration(seconds)) == seconds);
    REQUIRE(*parse_size(format_size(bytes)) == bytes);
    REQUIRE(*parse_power(format_power(watts)) == watts);
    REQUIRE(*parse_number(format_number(-watts)) == -watts);
  }
}

}  // namespace
}  // namespace perjoule::config
