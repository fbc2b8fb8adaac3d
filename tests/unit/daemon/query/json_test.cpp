#include "daemon/query/json.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>

#include "config/text.hpp"

namespace perjoule::query {

namespace {

std::string plain(std::int64_t ms, double value) {
  const std::int64_t size = std::llabs(ms);
  std::string out = fmt::format("[{}{}", ms < 0 ? "-" : "", size / 1000);
  if (size % 1000 != 0) out += fmt::format(".{:03}", size % 1000);
  out += ",\"";
  out += text::decimal(value);
  return out + "\"]";
}

// Random values: integers, values with some decimals, any double, NaN and infinity.
double draw(std::mt19937_64& random) {
  const auto whole = static_cast<double>(random() >> (random() % 64));
  switch (random() % 6) {
    case 0:
      return whole;
    case 1:
      return -whole / 1000;
    case 2:
      return static_cast<double>(random() % 20'000) / 10;
    case 3:
      return static_cast<double>(random() % 20'000'000) / 1000;
    case 4:
      return std::exp(static_cast<double>(random() % 1400) - 700);
    default:
      return random() % 2 == 0 ? std::numeric_limits<double>::quiet_NaN() : -std::numeric_limits<double>::infinity();
  }
}

}  // namespace

TEST_CASE("json: SampleWriter writes the same as append_sample(), with commas between") {
  std::mt19937_64 random(41);
  for (const std::int64_t start_ms : {std::int64_t{-5'000}, std::int64_t{0}, std::int64_t{9'999'000},
                                      std::int64_t{99'999'990'000}, std::int64_t{1'795'424'399'000}}) {
    std::string expected = "{";
    std::string all = "{";
    std::string single = "{";
    {
      SampleWriter samples(all);
      std::int64_t ms = start_ms;
      for (int n = 0; n < 3000; ++n) {
        const double value = draw(random);
        if (n > 0) {
          expected += ',';
          single += ',';
        }
        expected += plain(ms, value);
        samples.add(ms, value);
        append_sample(single, ms, value);
        ms += static_cast<std::int64_t>(random() % (random() % 100 == 0 ? 20'000'000 : 1500));
        if (random() % 500 == 0) ms = start_ms;
      }
    }
    CHECK(all == expected);
    CHECK(single == expected);
  }
}

TEST_CASE("json: without samples nothing is written") {
  std::string none;
  { SampleWriter samples(none); }
  CHECK(none.empty());
}

}  // namespace perjoule::query
