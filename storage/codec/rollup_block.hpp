// The codec of a blob of minute roll-ups: the buckets of one group in one slot. Pure; any thread.
//
// It is a chunk (storage/codec/chunk.hpp) whose stamps are the buckets' starts and which has seven columns for each
// series, with one checksum:
//
//   min max mean last count seconds increase
//
// A column without a value says the same as one that is there: max as min, last as max, mean as min, count and seconds
// as those of the first series, increase nothing. A bucket that the series has not is a hole in min. Without loss, but
// for what floating point makes of decimal numbers: mean is rounded to a hundredth of the last decimal place of the
// series' values in the slot, no finer than a thousandth where they are not; increase to that place. A series that grew
// in the slot has no mean (NaN): of a counter it says nothing.
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
  // Appends a blob. `series` by column of the group: its buckets in time order, of `width_ms`; at least one has one.
  void encode(std::string& out, std::span<const std::vector<Bucket>> series, std::int64_t width_ms);

 private:
  void fill(std::size_t series, std::span<const Bucket> buckets);
  void leave_out_repeated(std::size_t series);

  ChunkWriter chunk_;
  GroupBlock block_;
};

class RollupReader {
 public:
  // As ChunkReader's.
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
