// The codec of a sealed chunk: one slot of one group, one column of stamps and one column per series. Pure; any thread.
//
//   chunk    := head stamps columns*, each followed by its crc32, little-endian; empty columns are nothing at all
//   head     := 03 varint(together) varint(ticks) varint(columns) varint(size of stamps) varint(size of column)*
//   columns  := so many as share a checksum because they are read together: column*
//   stamps   := varint(period) zigzag(stamp 0)
//               varint(size) integers(periods passed over before each tick but the first)
//               integers(what the ticks but the first lie beside the grid)
//   column   := nothing, when no tick has a value
//             | tag: form (bits 0-2), holes (bit 3), decimal scale (bits 4-7)
//               runs         with holes only: varint(number) varint(length)*, ticks with a value and without in turn
//               values of the ticks that have one:
//                 decimal    varint(exceptions) (varint(distance) double)* integers(v), v / 10^scale the value
//                 step       as decimal, v * step the value to half a step; before them the step, a double
//                 raw        integers(the doubles' bits)
//   integers := storage/codec/integers.hpp
//
// Without a step every value comes back bit for bit, NaN, infinities and -0 included: what has no decimal scale is an
// exception, and a column with many of them is raw. With a step (a metric's declared resolution) a value comes back
// within half of it, and what cannot be counted in steps is an exception, exact. The reader opens one column without
// the others. Decoding is total: whatever the bytes are, it returns.
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
  // Appends a chunk to `out`. `steps` by column, 0: without loss; empty: all without loss. 1 to chunk_ticks_max ticks,
  // stamps ascend. `together`, at least 1: how many columns share a checksum.
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

// Reads from untrusted bytes, and only those that are asked for: a column lies in one page or two of a chunk's dozen.
class ChunkReader {
 public:
  // Puts out.size() bytes from `offset` on into `out`; false: they cannot be read, which is Fault::transient, while
  // bytes that make no sense are Fault::broken.
  using Read = std::function<bool(std::size_t offset, std::span<char> out)>;

  // Reads the head of a chunk of `size` bytes. What `read` uses outlives the reader's next open().
  [[nodiscard]] Result<void> open(std::size_t size, Read read);
  // The bytes likewise.
  [[nodiscard]] Result<void> open(std::string_view chunk);
  [[nodiscard]] std::size_t ticks() const { return ticks_; }
  [[nodiscard]] std::size_t columns() const { return parts_.empty() ? 0 : parts_.size() - 1; }

  [[nodiscard]] Result<void> stamps(std::vector<std::int64_t>& stamps_ms);
  // `index` < columns(). `present` 0: a hole; else 1. Both get ticks() elements.
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
  std::vector<Part> parts_;    // the stamps, and the columns
  std::string head_;           // and what was read with it
  std::string loaded_;         // the bytes of some parts
  std::size_t loaded_at_ = 0;  // the first of them; behind the last: none are
  std::vector<std::int64_t> integers_;
  std::vector<std::int64_t> others_;
};

}  // namespace perjoule::storage
