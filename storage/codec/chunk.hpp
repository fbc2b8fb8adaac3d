// The codec of a sealed chunk: the samples of one group in one slot, as one column of timestamps and one column per
// series. The timestamps are shared because a column of them per series would cost as much as the values.
//
//   chunk      := head crc32  timestamps crc32  (columns crc32)*
//   head       := 03 varint(together) varint(ticks) varint(columns)
//                 varint(size of timestamps) varint(size of column)*
//   columns    := the next `together` columns (the last time fewer), which share a checksum because they are read
//                 together; if all of them are empty, there is no crc32 either
//   timestamps := varint(period) zigzag(timestamp 0)
//                 varint(size) integers(periods skipped before each tick but the first)
//                 integers(offset of each tick but the first from the grid of periods)
//   column     := nothing, if no tick has a value
//               | tag: form (bits 0-2), holes (bit 3), decimal scale 0 to 9 (bits 4-7)
//                 runs           with holes only: varint(number) varint(length)*, alternately of ticks with a value
//                                (the first length may be 0) and of ticks without
//                 the values that exist, by form:
//                   0 decimal    exceptions integers(v); the value is v / 10^scale
//                   1 step       step exceptions integers(v); the value is v * step, rounded to the nearest step
//                   2 raw        integers(the bits of each double)
//   exceptions := varint(number) (varint(position - position before) double)*
//   integers   := storage/codec/integers.hpp
//   step, double: 8 bytes, little-endian; crc32: 4 bytes, little-endian; sizes: in bytes
//
// Without a step every value is restored bit for bit, including NaN, infinities and -0: values without an exact decimal
// scale are exceptions, and a column with many of them is raw. With a step (a metric's declared resolution) a value is
// restored within half a step; values that do not fit are exact exceptions. A reader can decode one column without the
// others. Decoding returns for any bytes, also hostile ones. Pure; one object per thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/result.hpp"
#include "storage/codec/frame.hpp"
#include "storage/codec/integers.hpp"

namespace perjoule::storage {

inline constexpr std::size_t chunk_ticks_max = 65536;

class ChunkWriter {
 public:
  // Appends a chunk to `out`. The block has 1 to chunk_ticks_max ticks with ascending timestamps. `steps` has one step
  // per column, 0: lossless; empty: all lossless. `together`: how many columns share a checksum, at least 1.
  void encode(std::string& out, const GroupBlock& block, std::int64_t period_ms, std::span<const double> steps,
              Effort effort, std::size_t together = 1);

 private:
  void stamps(std::span<const std::int64_t> stamps_ms, std::int64_t period_ms);
  void column(std::span<const double> values, std::span<const std::uint8_t> present, double step, Effort effort);
  [[nodiscard]] std::size_t count(std::span<const double> values, double step, unsigned scale);

  IntegerCodec codec_;
  std::string body_;
  std::string part_;
  std::string exceptions_;
  std::vector<std::size_t> sizes_;
  std::vector<double> filled_;
  std::vector<std::int64_t> integers_;
  std::vector<std::int64_t> others_;
};

// Reads from untrusted bytes, and only the bytes that it needs: a column lies in one or two of the dozen database pages
// of a chunk.
class ChunkReader {
 public:
  // Copies out.size() bytes from `offset` on into `out`. False: the read failed, which the reader returns as
  // Fault::transient; invalid bytes are Fault::broken.
  using Read = std::function<bool(std::size_t offset, std::span<char> out)>;

  // Reads the head of a chunk of `size` bytes. What `read` refers to must live until the next open().
  [[nodiscard]] Result<void> open(std::size_t size, Read read);
  // `chunk` must live until the next open().
  [[nodiscard]] Result<void> open(std::string_view chunk);
  [[nodiscard]] std::size_t ticks() const { return ticks_; }
  [[nodiscard]] std::size_t columns() const { return parts_.empty() ? 0 : parts_.size() - 1; }

  [[nodiscard]] Result<void> stamps(std::vector<std::int64_t>& stamps_ms);
  // `index` < columns(). Both vectors get ticks() elements; `present` is 0 for a hole, otherwise 1.
  [[nodiscard]] Result<void> column(std::size_t index, std::vector<double>& values, std::vector<std::uint8_t>& present);

 private:
  struct Part {
    std::size_t offset = 0;
    std::size_t size = 0;
  };
  [[nodiscard]] bool read_head(std::size_t size);
  [[nodiscard]] Result<void> load(std::size_t first, std::size_t past);

  Read read_;
  IntegerCodec codec_;
  std::size_t ticks_ = 0;
  std::size_t together_ = 1;
  std::vector<Part> parts_;    // the timestamps, then the columns
  std::string head_;           // the head and the bytes that were read with it
  std::string loaded_;         // the bytes of the parts that share one checksum
  std::size_t loaded_at_ = 0;  // index of the first of these parts; parts_.size(): nothing is loaded
  std::vector<std::int64_t> integers_;
  std::vector<std::int64_t> others_;
};

}  // namespace perjoule::storage
