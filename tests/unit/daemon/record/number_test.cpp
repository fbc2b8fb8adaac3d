#include <doctest/doctest.h>

#include <charconv>
#include <cmath>
#include <random>
#include <string>

#include "daemon/record/latest.hpp"

namespace {

std::string written(double value) {
  std::string text;
  perjoule::append_number(text, value);
  return text;
}

std::string shortest(double value) {
  char digits[64];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

}  // namespace

TEST_CASE("append_number: decimals are the shortest string that reads back") {
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

TEST_CASE("append_number: the limits of the fast path") {
  for (const double value : {0.001, 0.000999, 999'999'999.999999, 1'000'000'000.5, -0.001, -25.125, 0.1 + 0.2, 5e-324})
    CHECK(written(value) == shortest(value));
  CHECK(written(-0.0) == "-0");
  CHECK(written(0.0) == "0");
}
