// The codec of a blob of minute roll-ups: the buckets of one group in one slot. Pure; one object per thread.
//
// The blob is a chunk (storage/codec/chunk.hpp) whose timestamps are the starts of the buckets. Each series has seven
// columns, which share a checksum:
//
//   min max mean last count seconds increase
//
// An empty column repeats another one: max is min, last is max, mean is min, count and seconds are those of the first
// series, increase is 0. A hole in min means that the series has no such bucket.
//
// All but mean and increase are lossless. mean is rounded to two decimal places more than the values of the series have
// in the slot, but to at most three, or as many as the values have; increase is rounded to the decimal places of the
// values, which removes the error of subtracting doubles. A series with an increase has no mean (NaN): the mean of a
// counter has no meaning.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/codec/chunk.hpp"
#include "storage/codec/rollup.hpp"

namespace perjoule::storage {

class RollupWriter {
 public:
  // Appends a blob. `series` has the buckets of each column of the group, in time order, `width_ms` wide; at least one
  // series has a bucket.
  void encode(std::string& out, std::span<const std::vector<Bucket>> series, std::int64_t width_ms);

 private:
  void fill(std::size_t series, std::span<const Bucket> buckets);
  void leave_out_repeated(std::size_t series);

  ChunkWriter chunk_;
  GroupBlock block_;
};

class RollupReader {
 public:
  // See ChunkReader::open.
  [[nodiscard]] Result<void> open(std::size_t size, ChunkReader::Read read);
  [[nodiscard]] Result<void> open(std::string_view blob);
  [[nodiscard]] std::size_t series() const { return chunk_.columns() / parts; }
  // Appends the buckets of a series in time order; `index` < series().
  [[nodiscard]] Result<void> read(std::size_t index, std::vector<Bucket>& out);

 private:
  friend class RollupWriter;
  static constexpr std::size_t parts = 7;
  struct Column {
    std::vector<double> values;
    std::vector<std::uint8_t> present;
  };
  [[nodiscard]] Result<void> read_common();

  ChunkReader chunk_;
  std::vector<std::int64_t> starts_ms_;
  std::vector<Column> columns_ = std::vector<Column>(parts);
  std::vector<Column> common_ = std::vector<Column>(2);  // count and seconds of the first series
};

}  // namespace perjoule::storage
