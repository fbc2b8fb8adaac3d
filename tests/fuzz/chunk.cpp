// libFuzzer target: decodes any bytes as a sealed chunk, a blob of minute roll-ups or a tail frame. The first byte
// selects which, and whether sizes and checksums are corrected first, because hardly any bytes have good ones. A chunk
// is read as a whole and in pieces, with equal results. tests/soak/fuzz.sh builds and runs it, and reads these lines:
//
// sources: storage/codec/*.cpp collectors/result.cpp
// libraries: -lfmt
// length: 768
// seeds: itself
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>

#include "storage/codec/chunk.hpp"
#include "storage/codec/rollup_block.hpp"
#include "tests/fakes/chunk_sums.hpp"

namespace {

using namespace perjoule::storage;

enum class Kind : std::uint8_t { chunk, rollup, frame };
constexpr unsigned kinds = 3;
constexpr unsigned corrected = 0x40;     // bit of the first byte: correct sizes and checksums first
constexpr std::size_t cells_max = 8192;  // bounds what is read of one input: 65,536 ticks can be a byte or two

void mend_frame(std::string& bytes) {
  ByteReader reader(bytes);
  reader.little_endian(1);
  reader.varint();
  while (reader.left() > 0) {
    const std::uint64_t size = reader.varint();
    const std::size_t at = bytes.size() - reader.left();
    reader.little_endian(4);
    reader.bytes(size);
    if (size == 0 || !reader.ok()) return;
    put_checksum(bytes, at + 4, static_cast<std::size_t>(size), at);
  }
}

struct Decoded {
  bool opened = false;
  bool has_stamps = false;
  std::vector<std::int64_t> stamps_ms;
  std::vector<bool> good;
  std::vector<std::vector<double>> values;
  std::vector<std::vector<std::uint8_t>> present;
};

void read_chunk(ChunkReader& reader, Decoded& out) {
  out.has_stamps = reader.stamps(out.stamps_ms).has_value();
  if (out.has_stamps && out.stamps_ms.size() != reader.ticks()) std::abort();
  std::size_t cells = 0;
  for (std::size_t c = 0; c < reader.columns() && cells <= cells_max; ++c, cells += reader.ticks()) {
    auto& values = out.values.emplace_back();
    auto& present = out.present.emplace_back();
    out.good.push_back(reader.column(c, values, present).has_value());
    if (values.size() != reader.ticks() || present.size() != reader.ticks()) std::abort();
    if (std::any_of(present.begin(), present.end(), [](std::uint8_t is) { return is > 1; })) std::abort();
  }
}

bool same(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}

void try_chunk(const std::string& bytes) {
  Decoded whole;
  ChunkReader reader;
  whole.opened = reader.open(bytes).has_value();
  if (whole.opened) read_chunk(reader, whole);
  Decoded pieces;
  const auto read = [&bytes](std::size_t offset, std::span<char> out) {
    if (offset > bytes.size() || out.size() > bytes.size() - offset) std::abort();
    std::memcpy(out.data(), bytes.data() + offset, out.size());
    return true;
  };
  pieces.opened = reader.open(bytes.size(), read).has_value();
  if (pieces.opened) read_chunk(reader, pieces);
  if (whole.opened != pieces.opened || whole.has_stamps != pieces.has_stamps || whole.good != pieces.good) std::abort();
  if (whole.has_stamps && whole.stamps_ms != pieces.stamps_ms) std::abort();
  for (std::size_t c = 0; c < whole.good.size(); ++c) {
    if (!whole.good[c]) continue;
    if (whole.present[c] != pieces.present[c] || !same(whole.values[c], pieces.values[c])) std::abort();
  }
  // A read that fails at any place must give an error, not a crash.
  int reads = 2;
  const auto failing = [&](std::size_t offset, std::span<char> out) { return --reads > 0 && read(offset, out); };
  if (reader.open(bytes.size(), failing)) {
    Decoded some;
    read_chunk(reader, some);
  }
}

void try_rollup(const std::string& bytes) {
  RollupReader reader;
  if (!reader.open(bytes)) return;
  std::vector<Bucket> buckets;
  for (std::size_t s = 0; s < reader.series() && buckets.size() < cells_max / 8; ++s)
    (void)reader.read(s, buckets);
  for (const Bucket& bucket : buckets) {
    if (bucket.count < 0) std::abort();
  }
}

void try_frame(const std::string& bytes) {
  const auto each = [](const ColumnView& view) {
    const std::size_t ticks = view.stamps_ms.size();
    if (ticks == 0 || ticks > frame_ticks_max || view.column >= frame_columns_max) std::abort();
    if (view.values.size() != ticks || view.present.size() != ticks) std::abort();
  };
  (void)decode_frame(
      bytes, [](std::int64_t) { return true; }, each);
  (void)decode_frame(
      bytes, [](std::int64_t group) { return group % 2 == 0; }, each);
}

// Columns of every form: constant, counter, decimals, noise, holes, values without a scale, some exceptions.
GroupBlock block_of(std::mt19937& random, std::size_t columns, std::size_t ticks) {
  GroupBlock block;
  block.reset(1 + random() % 300, columns, ticks);
  const std::uint32_t first = random();
  for (std::size_t c = 0; c < columns; ++c) {
    double counter = static_cast<double>(random());
    for (std::size_t n = 0; n < ticks; ++n) {
      block.stamps_ms[n] = 1'795'424'400'000 + static_cast<std::int64_t>(n) * 1000 + (n > ticks / 2 ? 5003 : 0);
      const double noise = static_cast<double>(random() % 64);
      counter += noise;
      const double forms[] = {240, counter, 61.5 + std::nearbyint(noise / 16) / 4, noise, std::sin(noise), noise};
      const std::size_t form = (c + first) % std::size(forms);
      const std::size_t cell = c * ticks + n;
      block.values[cell] = form == 5 && n == 3 ? std::numeric_limits<double>::infinity() : forms[form];
      block.present[cell] = form == 2 && n % 7 == 0 ? 0 : 1;
    }
  }
  return block;
}

std::string seed_of(Kind kind, std::mt19937& random) {
  const std::size_t ticks = random() % 4 == 0 ? 1 : 2 + random() % 100;
  const GroupBlock block = block_of(random, 1 + random() % 3, ticks);
  std::string out(1, static_cast<char>(corrected | static_cast<unsigned>(kind)));
  if (kind == Kind::chunk) {
    const std::vector<double> steps(block.columns, random() % 3 == 0 ? 0.5 : 0);
    ChunkWriter writer;
    writer.encode(out, block, 1000, steps, random() % 2 == 0 ? Effort::thorough : Effort::quick, 1 + random() % 3);
  } else if (kind == Kind::rollup) {
    std::vector<std::vector<Bucket>> series(block.columns);
    for (std::size_t c = 0; c < block.columns; ++c) {
      std::optional<Carried> before;
      const std::int64_t start_ms = block.stamps_ms.front() / minute_ms * minute_ms;
      Rollup(minute_ms / 6, 3000)
          .add({start_ms, start_ms + 900'000, block.stamps_ms, std::span(block.values).subspan(c * ticks, ticks),
                std::span(block.present).subspan(c * ticks, ticks)},
               before, random() % 2 == 0, series[c]);
    }
    RollupWriter().encode(out, series, minute_ms / 6);
  } else {
    std::string frame;
    begin_frame(frame, block.stamps_ms.front());
    append_group(frame, block.stamps_ms.front(), block);
    append_group(frame, block.stamps_ms.front(), block_of(random, 2, 3));
    out += frame;
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc != 3 || std::strcmp((*argv)[1], "--seeds") != 0) return 0;
  std::mt19937 random(1);
  for (unsigned n = 0; n < 120; ++n) {
    std::ofstream out(std::string((*argv)[2]) + "/seed-" + std::to_string(n), std::ios::binary);
    out << seed_of(static_cast<Kind>(n % kinds), random);
    if (!out.flush()) std::exit(1);
  }
  std::exit(0);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto kind = static_cast<Kind>((data[0] & 0x3fU) % kinds);
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & corrected) != 0) kind == Kind::frame ? mend_frame(bytes) : mend_chunk(bytes);
  bytes.shrink_to_fit();
  if (kind == Kind::chunk) try_chunk(bytes);
  if (kind == Kind::rollup) try_rollup(bytes);
  if (kind == Kind::frame) try_frame(bytes);
  return 0;
}
