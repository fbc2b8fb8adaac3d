#include <doctest/doctest.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>

#include "config/text.hpp"

namespace {

std::string written(double value) {
  std::string text;
  perjoule::text::append_number(text, value);
  return text;
}

std::string shortest(double value) {
  char digits[64];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

}  // namespace

TEST_CASE("append_number: decimals are the shortest text that reads back") {
  std::mt19937_64 random(7);
  for (int i = 0; i < 300'000; ++i) {
    const auto bits = static_cast<std::int64_t>(random());
    const double millionths = static_cast<double>(bits % 2'000'000'000'000'000) / 1e6;
    const double thousandths = static_cast<double>(bits % 200'000) / 1e3;
    const double small = static_cast<double>(bits % 4000) / 1e6;
    const double any = std::ldexp(static_cast<double>(bits >> 11), static_cast<int>(random() % 60) - 80);
    for (const double value : {millionths, thousandths, small, any, std::nextafter(thousandths, 0)}) {
      if (std::trunc(value) != value) REQUIRE(written(value) == shortest(value));
    }
  }
}

TEST_CASE("append_number: the edges of the fast path") {
  for (const double value : {0.001, 0.000999, 999'999'999.999999, 1'000'000'000.5, -0.001, -25.125, 0.1 + 0.2, 5e-324})
    CHECK(written(value) == shortest(value));
  CHECK(written(-0.0) == "-0");
  CHECK(written(0.0) == "0");
}

TEST_CASE("decimal: numbers as Go's strconv 'f' writes them") {
  CHECK(perjoule::text::decimal(0) == "0");
  CHECK(perjoule::text::decimal(-0.0) == "-0");
  CHECK(perjoule::text::decimal(1.5) == "1.5");
  CHECK(perjoule::text::decimal(-273.15) == "-273.15");
  CHECK(perjoule::text::decimal(0.1 + 0.2) == "0.30000000000000004");
  CHECK(perjoule::text::decimal(1e21) == "1000000000000000000000");
  CHECK(perjoule::text::decimal(1e23) == "100000000000000000000000");
  CHECK(perjoule::text::decimal(123456789012345680) == "123456789012345680");
  CHECK(perjoule::text::decimal(1e-7) == "0.0000001");
  CHECK(perjoule::text::decimal(5e-324).size() == 326);
  CHECK(perjoule::text::decimal(std::numeric_limits<double>::max()).size() == 309);
  CHECK(perjoule::text::decimal(std::numeric_limits<double>::quiet_NaN()) == "NaN");
  CHECK(perjoule::text::decimal(std::numeric_limits<double>::infinity()) == "+Inf");
  CHECK(perjoule::text::decimal(-std::numeric_limits<double>::infinity()) == "-Inf");
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const double value =
        i % 2 == 0 ? std::bit_cast<double>(random()) : static_cast<double>(random() % 10'000'000) / 1000.0;
    if (!std::isfinite(value)) continue;
    REQUIRE(std::strtod(perjoule::text::decimal(value).c_str(), nullptr) == value);
  }
}

TEST_CASE("whole numbers keep their digits up to 9e15") {
  CHECK(written(100'000) == "100000");
  CHECK(written(999'999'999'999) == "999999999999");
  CHECK(written(1'000'000'000'000) == "1000000000000");
  CHECK(written(8'999'999'999'999'999) == "8999999999999999");
  CHECK(written(9e15) == "9e+15");
  CHECK(written(-42) == "-42");
  std::string text;
  perjoule::text::append_shortest(text, 100'000);
  CHECK(text == "1e+05");
  CHECK(perjoule::text::scientific(1500) == "1.5e+03");
}
