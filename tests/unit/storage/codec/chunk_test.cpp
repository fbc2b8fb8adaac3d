#include "storage/codec/chunk.hpp"

#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "tests/fakes/chunk_sums.hpp"

namespace perjoule::storage {

namespace {

constexpr std::int64_t base_ms = 1'795'424'400'000;

double odd(std::mt19937_64& random) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const double values[] = {0.0,       -0.0,  infinity, -infinity,          std::numeric_limits<double>::quiet_NaN(),
                           0.1 + 0.2, 1e300, 5e-324,   9007199254740993.0, std::bit_cast<double>(random())};
  return values[random() % std::size(values)];
}

GroupBlock random_block(std::mt19937_64& random) {
  GroupBlock block;
  const std::size_t ticks = 1 + random() % 400;
  block.reset(7, random() % 12, ticks);
  std::int64_t stamp = base_ms + static_cast<std::int64_t>(random() % 1000);
  for (std::size_t n = 0; n < ticks; ++n) {
    block.stamps_ms[n] = stamp;
    stamp += 1 + static_cast<std::int64_t>(random() % 50 == 0 ? random() % 100'000 : 990 + random() % 20);
  }
  for (std::size_t c = 0; c < block.columns; ++c) {
    const std::uint64_t kind = random() % 6;
    const std::uint64_t holes = random() % 3 == 0 ? 1 + random() % 100 : 0;
    double value = static_cast<double>(random() % 100'000);
    for (std::size_t n = 0; n < ticks; ++n) {
      if (kind == 1) value += static_cast<double>(random() % 2000) / 8 - 125;
      if (kind == 2) value = std::nearbyint(value * 1000 + static_cast<double>(random() % 5000)) / 1000;
      if (kind == 3 && random() % 40 == 0) value = odd(random);
      if (kind == 4) value = odd(random);
      if (kind == 5) value = std::sin(static_cast<double>(n)) * 300;
      const bool is_hole = holes > 0 && random() % 100 < holes;
      block.values[c * ticks + n] = is_hole ? 0 : value;
      block.present[c * ticks + n] = is_hole ? 0 : 1;
    }
  }
  return block;
}

}  // namespace

TEST_CASE("chunk: one value with many decimals does not turn large values into exceptions") {
  GroupBlock block;
  block.reset(7, 1, 900);
  for (std::size_t n = 0; n < 900; ++n) {
    block.stamps_ms[n] = base_ms + static_cast<std::int64_t>(n) * 1000;
    block.values[n] = n == 800 ? 0.125 : 1e15 + static_cast<double>(n);
    block.present[n] = 1;
  }
  std::string bytes;
  ChunkWriter().encode(bytes, block, 1000, {}, Effort::quick);
  CHECK(bytes.size() < 900);
}

TEST_CASE("chunk: values, holes and timestamps round-trip bit for bit") {
  std::mt19937_64 random(31);
  ChunkWriter writer;
  ChunkReader reader;
  for (int run = 0; run < 600; ++run) {
    const GroupBlock block = random_block(random);
    const std::size_t ticks = block.stamps_ms.size();
    std::string bytes = "before";
    writer.encode(bytes, block, random() % 2 == 0 ? 1000 : 0, {}, run % 2 == 0 ? Effort::quick : Effort::thorough);
    REQUIRE(reader.open(std::string_view(bytes).substr(6)).has_value());
    REQUIRE(reader.ticks() == ticks);
    REQUIRE(reader.columns() == block.columns);
    std::vector<std::int64_t> stamps_ms;
    REQUIRE(reader.stamps(stamps_ms).has_value());
    CHECK(stamps_ms == block.stamps_ms);
    std::vector<double> values;
    std::vector<std::uint8_t> present;
    for (std::size_t c = 0; c < block.columns; ++c) {
      REQUIRE(reader.column(c, values, present).has_value());
      std::size_t wrong = 0;
      for (std::size_t n = 0; n < ticks; ++n) {
        const std::size_t cell = c * ticks + n;
        wrong += present[n] != block.present[cell] ? 1U : 0U;
        const bool same = std::bit_cast<std::uint64_t>(values[n]) == std::bit_cast<std::uint64_t>(block.values[cell]);
        wrong += present[n] != 0 && !same ? 1U : 0U;
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("chunk: with a step a value is restored within half a step, and an exception exactly") {
  std::mt19937_64 random(37);
  ChunkWriter writer;
  ChunkReader reader;
  for (int run = 0; run < 300; ++run) {
    const GroupBlock block = random_block(random);
    const std::size_t ticks = block.stamps_ms.size();
    const double step = std::array{0.1, 1.0, 0.25, 1e-3}[random() % 4];
    const std::vector<double> steps(block.columns, step);
    std::string bytes;
    writer.encode(bytes, block, 1000, steps, Effort::thorough);
    REQUIRE(reader.open(bytes).has_value());
    std::vector<double> values;
    std::vector<std::uint8_t> present;
    for (std::size_t c = 0; c < block.columns; ++c) {
      REQUIRE(reader.column(c, values, present).has_value());
      for (std::size_t n = 0; n < ticks; ++n) {
        const double was = block.values[c * ticks + n];
        if (present[n] == 0) continue;
        const bool is_near = std::fabs(values[n] - was) <= step / 2 * (1 + 1e-6);
        if (!is_near) CHECK(std::bit_cast<std::uint64_t>(values[n]) == std::bit_cast<std::uint64_t>(was));
      }
    }
  }
}

TEST_CASE("chunk: hostile bytes are refused or decoded, without access out of bounds") {
  std::mt19937_64 random(41);
  ChunkWriter writer;
  ChunkReader reader;
  std::vector<std::int64_t> stamps_ms;
  std::vector<double> values;
  std::vector<std::uint8_t> present;
  std::size_t opened = 0;
  for (int run = 0; run < 20'000; ++run) {
    std::string bytes;
    writer.encode(bytes, random_block(random), 1000, {}, Effort::thorough, 1 + random() % 9);
    for (std::uint64_t n = random() % 4; n > 0; --n)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    mend_chunk(bytes);
    if (!reader.open(bytes)) continue;
    ++opened;
    [[maybe_unused]] const bool has_stamps = reader.stamps(stamps_ms).has_value();
    for (std::size_t c = 0; c < reader.columns(); ++c)
      [[maybe_unused]] const bool has_column = reader.column(c, values, present).has_value();
  }
  CHECK(opened > 5000);
  CHECK(reader.open("").has_error());
}

TEST_CASE("chunk: a chunk without timestamps is broken, and nothing after its end is read") {
  std::string bytes("\3\1\1\0\0", 5);  // one tick, no column, timestamps of no bytes
  put_little_endian(bytes, crc32(bytes), 4);
  bool beyond = false;
  ChunkReader reader;
  const auto opened = reader.open(bytes.size(), [&](std::size_t offset, std::span<char> out) {
    beyond = beyond || offset + out.size() > bytes.size();
    return bytes.copy(out.data(), out.size(), offset) == out.size();
  });
  REQUIRE(opened.has_error());
  CHECK(opened.error().fault == Fault::broken);
  CHECK_FALSE(beyond);
}

TEST_CASE("chunk: a changed bit is detected in the column that has it, and the others are read") {
  std::mt19937_64 random(43);
  ChunkWriter writer;
  ChunkReader reader;
  std::vector<std::int64_t> stamps_ms;
  std::vector<double> values;
  std::vector<std::uint8_t> present;
  for (int run = 0; run < 2000; ++run) {
    std::string bytes;
    writer.encode(bytes, random_block(random), 1000, {}, Effort::quick);
    char& changed = bytes[random() % bytes.size()];
    changed = static_cast<char>(changed ^ 1 << random() % 8);
    int noticed = reader.open(bytes).has_error() ? 1 : 0;
    if (noticed == 0) {
      noticed += reader.stamps(stamps_ms).has_error() ? 1 : 0;
      for (std::size_t c = 0; c < reader.columns(); ++c)
        noticed += reader.column(c, values, present).has_error() ? 1 : 0;
    }
    CHECK(noticed == 1);
  }
}

TEST_CASE("chunk: a changed bit is detected by all columns that share its checksum, and by no other") {
  std::mt19937_64 random(53);
  ChunkWriter writer;
  ChunkReader reader;
  std::vector<double> values;
  std::vector<std::uint8_t> present;
  GroupBlock block;
  block.reset(1, 20, 50);
  for (std::size_t t = 0; t < 50; ++t)
    block.stamps_ms[t] = static_cast<std::int64_t>(t) * 1000;
  for (double& value : block.values)
    value = static_cast<double>(random() % 1000);
  std::fill(block.present.begin(), block.present.end(), std::uint8_t{1});
  std::fill_n(block.present.begin() + 50 * 7, 50 * 7, std::uint8_t{0});  // the second seven columns are empty
  std::string sound;
  writer.encode(sound, block, 1000, {}, Effort::quick, 7);
  for (int run = 0; run < 500; ++run) {
    std::string bytes = sound;
    char& changed = bytes[200 + random() % (bytes.size() - 200)];
    changed = static_cast<char>(changed ^ 1 << random() % 8);
    REQUIRE(reader.open(bytes).has_value());
    std::string bad;
    for (std::size_t c = 0; c < reader.columns(); ++c)
      bad += reader.column(c, values, present).has_value() ? '.' : 'x';
    CHECK((bad == "xxxxxxx............." || bad == "..............xxxxxx"));
  }
}

TEST_CASE("chunk: reading one column reads only its bytes and the head") {
  std::mt19937_64 random(47);
  ChunkWriter writer;
  GroupBlock block;
  block.reset(1, 60, 900);
  for (std::size_t t = 0; t < 900; ++t)
    block.stamps_ms[t] = static_cast<std::int64_t>(t) * 1000;
  for (double& value : block.values)
    value = static_cast<double>(random() % 100'000);
  std::fill(block.present.begin(), block.present.end(), std::uint8_t{1});
  std::string bytes;
  writer.encode(bytes, block, 1000, {}, Effort::quick);
  std::size_t touched = 0;
  ChunkReader reader;
  const auto opened = reader.open(bytes.size(), [&](std::size_t offset, std::span<char> out) {
    touched += out.size();
    return bytes.copy(out.data(), out.size(), offset) == out.size();
  });
  REQUIRE(opened.has_value());
  std::vector<double> values;
  std::vector<std::uint8_t> present;
  REQUIRE(reader.column(30, values, present).has_value());
  CHECK(values[17] == block.values[30 * 900 + 17]);
  CHECK(touched < bytes.size() / 20);
  const auto unread = reader.open(bytes.size(), [](std::size_t, std::span<char>) { return false; });
  REQUIRE(unread.has_error());
  CHECK(unread.error().fault == Fault::transient);
}

}  // namespace perjoule::storage
