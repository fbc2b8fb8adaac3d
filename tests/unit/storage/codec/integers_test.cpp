#include "storage/codec/integers.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

namespace perjoule::storage {

namespace {

using Values = std::vector<std::int64_t>;

std::string encoded(const Values& values, Effort effort = Effort::thorough) {
  std::string out;
  IntegerCodec().encode(out, values, effort);
  return out;
}

Values decoded(const std::string& bytes, std::size_t count) {
  Values values(count);
  REQUIRE(IntegerCodec().decode(bytes, values));
  return values;
}

std::int64_t draw(std::mt19937_64& random, unsigned width) {
  return static_cast<std::int64_t>(width == 0 ? 0 : random() >> (64 - width)) * (random() % 2 == 0 ? 1 : -1);
}

// Shapes of sensor data: noise, ramps, steps, constants, extremes; any length.
Values telemetry(std::mt19937_64& random) {
  const std::size_t count = random() % 1000;
  const auto width = static_cast<unsigned>(random() % 65);
  const std::uint64_t kind = random() % 6;
  const std::int64_t step = 1 + static_cast<std::int64_t>(random() % 100);
  Values values;
  std::int64_t value = draw(random, width);
  std::int64_t speed = draw(random, width / 2);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t wrapped = static_cast<std::uint64_t>(value);
    if (kind == 1) value = draw(random, width);
    if (kind == 2) value = static_cast<std::int64_t>(wrapped + static_cast<std::uint64_t>(draw(random, width / 4)));
    if (kind == 3) value = static_cast<std::int64_t>(wrapped + static_cast<std::uint64_t>(speed) + random() % 4);
    if (kind == 4 && random() % 50 == 0) value = draw(random, 20) * step;
    if (kind == 5)
      value = random() % 2 == 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
    values.push_back(value);
  }
  return values;
}

}  // namespace

TEST_CASE("integers: any values round-trip, with either effort") {
  std::mt19937_64 random(17);
  for (int run = 0; run < 4000; ++run) {
    const Values values = telemetry(random);
    for (const Effort effort : {Effort::quick, Effort::thorough}) {
      const std::string bytes = encoded(values, effort);
      CHECK(decoded(bytes, values.size()) == values);
    }
    // The coder is chosen by an estimate from a part of the values.
    const std::size_t quick = encoded(values, Effort::quick).size();
    CHECK(encoded(values, Effort::thorough).size() <= quick + quick / 50);
  }
}

TEST_CASE("integers: in a column that is quiet for long and then busy, each part costs what it needs") {
  std::mt19937_64 random(5);
  Values values;
  for (int n = 0; n < 900; ++n)
    values.push_back(n < 600 ? 250 : draw(random, 12));
  const std::size_t thorough = encoded(values, Effort::thorough).size();
  CHECK(thorough <= encoded(values, Effort::quick).size());
  CHECK(thorough < 300 * 13 / 8 + 100);
}

TEST_CASE("integers: a misleading estimate costs little") {
  // Each fourth block of 64, which the estimate reads, is quiet; an ANS table is worth most there.
  std::mt19937_64 random(9);
  Values bursts;
  Values cycle;
  for (int n = 0; n < 900; ++n) {
    const bool quiet = n == 0 || (n - 1) / 64 % 4 == 0;
    bursts.push_back(!quiet && n % 5 == 0 ? 1'000'000 + static_cast<std::int64_t>(random() % 1000) : 0);
    cycle.push_back((n / 128 % 2 == 1 && random() % 4 == 0 ? 250 : 0) + static_cast<std::int64_t>(random() % 2));
  }
  CHECK(encoded(bursts, Effort::thorough).size() < 450);
  CHECK(encoded(bursts, Effort::quick).size() > 1000);
  CHECK(encoded(cycle, Effort::thorough).size() < 280);
}

TEST_CASE("integers: a constant takes a few bytes, a steady counter a few bits a value") {
  CHECK(encoded(Values(900, 0)).size() == 1);
  CHECK(encoded(Values(900, -42)).size() <= 3);
  Values counter;
  Values coarse;
  for (std::int64_t i = 0; i < 900; ++i) {
    counter.push_back(1'000'000 + i * 300'000);
    coarse.push_back(60 * (50 + i % 3));
  }
  CHECK(encoded(counter).size() < 24);
  CHECK(encoded(coarse).size() < 900 / 2);
}

TEST_CASE("integers: hostile bytes are refused or decode to the requested number of values") {
  std::mt19937_64 random(23);
  IntegerCodec codec;
  Values values(300);
  for (int run = 0; run < 200'000; ++run) {
    std::string bytes;
    if (random() % 2 == 0) {
      for (std::uint64_t n = random() % 40; n > 0; --n)
        bytes.push_back(static_cast<char>(random() % (random() % 2 == 0 ? 8 : 256)));
    } else {
      bytes = encoded(telemetry(random), random() % 2 == 0 ? Effort::quick : Effort::thorough);
      for (std::uint64_t n = random() % 4; n > 0 && !bytes.empty(); --n)
        bytes[random() % bytes.size()] = static_cast<char>(random());
      bytes.resize(random() % (bytes.size() + 1));
    }
    [[maybe_unused]] const bool understood = codec.decode(bytes, values);
  }
}

}  // namespace perjoule::storage
