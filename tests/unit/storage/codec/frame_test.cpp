#include "storage/codec/frame.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "storage/codec/varint.hpp"
#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

namespace {

using Cells = std::map<std::pair<std::int64_t, std::size_t>, std::vector<std::pair<std::int64_t, std::uint64_t>>>;

void expect(Cells& cells, const GroupBlock& block) {
  const std::size_t ticks = block.stamps_ms.size();
  for (std::size_t cell = 0; cell < block.values.size(); ++cell) {
    if (block.present[cell] == 0) continue;
    cells[{block.group, cell / ticks}].emplace_back(block.stamps_ms[cell % ticks],
                                                    std::bit_cast<std::uint64_t>(block.values[cell]));
  }
}

Result<void> read_back(std::string_view frame, Cells& cells) {
  return decode_frame(
      frame, [](std::int64_t) { return true; },
      [&](const ColumnView& view) {
        for (std::size_t n = 0; n < view.values.size(); ++n) {
          if (view.present[n] == 0) continue;
          cells[{view.group, view.column}].emplace_back(view.stamps_ms[n],
                                                        std::bit_cast<std::uint64_t>(view.values[n]));
        }
      });
}

double strange_value(std::mt19937_64& random) {
  constexpr double special[] = {0.0,
                                -0.0,
                                std::numeric_limits<double>::infinity(),
                                -std::numeric_limits<double>::infinity(),
                                std::numeric_limits<double>::quiet_NaN(),
                                std::numeric_limits<double>::denorm_min(),
                                std::numeric_limits<double>::max(),
                                std::numeric_limits<double>::lowest(),
                                9007199254740991.0,
                                9007199254740992.0,
                                -9007199254740991.0,
                                9007199254.740991,
                                0.1,
                                0.30000000000000004,
                                1e-7};
  switch (random() % 5) {
    case 0:
      return special[random() % std::size(special)];
    case 1:
      return std::bit_cast<double>(random());
    case 2:
      return static_cast<double>(static_cast<std::int64_t>(random() >> (random() % 63))) / 1e6;
    case 3:
      return static_cast<double>(random() % 100000) / 1e3;
    default:
      return static_cast<double>(random() % 100);
  }
}

GroupBlock random_block(std::mt19937_64& random, std::int64_t id) {
  GroupBlock block;
  block.reset(id, random() % 20, 1 + random() % 40);
  std::int64_t stamp = 1795424400000;
  for (auto& each : block.stamps_ms) {
    stamp += 1000 + static_cast<std::int64_t>(random() % 7) - 3;
    each = random() % 50 == 0 ? static_cast<std::int64_t>(random()) : stamp;
  }
  const std::size_t ticks = block.stamps_ms.size();
  for (std::size_t column = 0; column < block.columns; ++column) {
    const auto style = random() % 4;
    const auto holes = random() % 3;
    double walk = std::floor(strange_value(random));
    for (std::size_t tick = 0; tick < ticks; ++tick) {
      const std::size_t cell = column * ticks + tick;
      if (style == 0) walk = strange_value(random);
      if (style == 1) walk += static_cast<double>(random() % 1000) / 1e3;
      if (style == 2) walk += 250;
      block.values[cell] = walk;
      block.present[cell] = holes == 0 || (holes == 1 && random() % 4 != 0);
    }
  }
  return block;
}

}  // namespace

TEST_CASE("varint: every size round-trips, and truncated or too long ones are refused") {
  for (unsigned bits = 0; bits <= 64; ++bits) {
    for (std::uint64_t value :
         {bits == 0 ? 0 : ~std::uint64_t{0} >> (64 - bits), bits == 64 ? 0 : std::uint64_t{1} << bits}) {
      std::string out;
      put_varint(out, value);
      CHECK(out.size() == varint_size(value));
      ByteReader reader(out);
      CHECK(reader.varint() == value);
      CHECK((reader.ok() && reader.left() == 0));
      ByteReader cut(std::string_view(out).substr(0, out.size() - 1));
      cut.varint();
      CHECK_FALSE(cut.ok());
      CHECK(unzigzag(zigzag(value)) == value);
    }
  }
  const std::string eleven_bytes = std::string(10, '\xff') + '\x01';
  ByteReader longer(eleven_bytes);
  longer.varint();
  CHECK_FALSE(longer.ok());
  const std::string too_large = std::string(9, '\xff') + '\x02';
  ByteReader larger(too_large);
  larger.varint();
  CHECK_FALSE(larger.ok());
}

TEST_CASE("frame: any values round-trip bit for bit") {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const auto base = random() % 3 == 0 ? static_cast<std::int64_t>(random()) : 1795424400000;
    std::string frame;
    begin_frame(frame, base);
    Cells put;
    const auto groups = static_cast<std::int64_t>(random() % 4);
    for (std::int64_t group = 1; group <= groups; ++group) {
      const GroupBlock block = random_block(random, group * 1000);
      append_group(frame, base, block);
      expect(put, block);
    }
    Cells got;
    REQUIRE(read_back(frame, got));
    CHECK(put == got);
  }
}

TEST_CASE("frame: a group that the reader does not need is not decoded") {
  std::mt19937_64 random(7);
  std::string frame;
  begin_frame(frame, 0);
  for (std::int64_t group = 0; group < 3; ++group)
    append_group(frame, 0, random_block(random, group));
  bool other = false;
  REQUIRE(decode_frame(
      frame, [](std::int64_t group) { return group == 1; }, [&](const ColumnView& view) { other |= view.group != 1; }));
  CHECK_FALSE(other);
}

TEST_CASE("frame: a changed bit and a truncation are detected") {
  std::mt19937_64 random(11);
  GroupBlock block = random_block(random, 3);
  while (block.columns < 5)
    block = random_block(random, 3);
  std::string frame;
  begin_frame(frame, 1795424400000);
  const std::size_t header = frame.size();
  append_group(frame, 1795424400000, block);
  Cells put;
  expect(put, block);
  for (std::size_t bit = header * 8; bit < frame.size() * 8; ++bit) {
    std::string damaged = frame;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    Cells got;
    CHECK_FALSE(read_back(damaged, got));
  }
  for (std::size_t size = header + 1; size < frame.size(); ++size) {
    Cells got;
    CHECK_FALSE(read_back(std::string_view(frame).substr(0, size), got));
  }
}

// The checksum is corrected, because otherwise hostile bytes would not reach the decoder.
TEST_CASE("frame: hostile bytes give an error or values within the limits") {
  const auto crc = [](std::string_view bytes) {
    std::uint32_t value = ~0U;
    for (char c : bytes) {
      value ^= static_cast<unsigned char>(c);
      for (int bit = 0; bit < 8; ++bit)
        value = (value & 1) != 0 ? 0xedb88320U ^ (value >> 1) : value >> 1;
    }
    return ~value;
  };
  std::size_t good = 0;
  for (std::uint64_t seed = 0; seed < 30000; ++seed) {
    std::mt19937_64 random(seed);
    std::string body;
    if (seed % 2 == 0) {
      std::string frame;
      append_group(frame, 0, random_block(random, 1));
      ByteReader reader(frame);
      body = frame.substr(frame.size() - static_cast<std::size_t>(reader.varint()));
      for (auto hits = random() % 4; hits > 0; --hits)
        body[random() % body.size()] = static_cast<char>(random());
    } else {
      body.resize(random() % 60);
      for (char& c : body)
        c = static_cast<char>(random() % (seed % 3 == 0 ? 256 : 8));
    }
    std::string frame;
    begin_frame(frame, 0);
    put_varint(frame, body.size());
    for (unsigned shift = 0; shift < 32; shift += 8)
      frame.push_back(static_cast<char>(crc(body) >> shift));
    frame += body;
    std::size_t ticks = 0;
    auto read = decode_frame(
        frame, [](std::int64_t) { return true; },
        [&](const ColumnView& view) { ticks = std::max(ticks, view.values.size()); });
    CHECK(ticks <= body.size());
    if (read) ++good;
  }
  CHECK(good > 100);
  CHECK(good < 29000);
}

TEST_CASE("frame: a typical mix takes about two bytes a sample at five ticks a frame") {
  std::mt19937_64 random(3);
  GroupBlock block;
  block.reset(1, 84, 5);
  for (std::size_t tick = 0; tick < 5; ++tick)
    block.stamps_ms[tick] = 1795424400000 + static_cast<std::int64_t>(tick) * 1000;
  for (std::size_t cell = 0; cell < block.values.size(); ++cell) {
    const std::size_t column = cell / 5;
    const auto tick = static_cast<double>(cell % 5);
    const auto noise = static_cast<double>(random() % 4000);
    block.present[cell] = 1;
    if (column < 12) block.values[cell] = (250000 + noise) / 1e3;  // power in milliwatts
    if (column >= 12 && column < 18)
      block.values[cell] = (9e11 + tick * 25e7 + noise * 1e3) / 1e6;  // energy, microjoules
    if (column >= 18 && column < 50)
      block.values[cell] = 60 + static_cast<double>(random() % 2);              // temperature, percent
    if (column >= 50) block.values[cell] = static_cast<double>(1980 + column);  // clocks, fans, limits
  }
  std::string frame;
  begin_frame(frame, 1795424400000);
  append_group(frame, 1795424400000, block);
  const double bytes = static_cast<double>(frame.size()) / static_cast<double>(block.values.size());
  MESSAGE("bytes per sample: " << bytes);
  CHECK(bytes < 2.0);
}

}  // namespace perjoule::storage
