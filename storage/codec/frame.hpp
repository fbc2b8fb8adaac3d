// The codec of a tail frame: the samples between two commits, bit-exact, in about two bytes a sample. It favours speed
// and low write volume; sealing codes the samples again, more densely (chunk.hpp). Pure; any thread.
//
//   frame   := 01                     format
//              zigzag(base)           timestamp, milliseconds since the epoch
//              group*
//              zeros or nothing       padding of the row
//   group   := varint(size of body) crc32(body), little-endian
//              body
//   body    := varint(grp.id) varint(ticks) varint(columns)
//              zigzag(timestamp 0 - base) zigzag(first difference) zigzag(difference of differences)*
//              column*
//   column  := tag: form (bits 0-2), holes (bit 3), decimal scale 0 to 6 (bits 4-6)
//              bitmap                 with holes only: bit n % 8 of byte n / 8 is set if tick n has a value
//              the values that exist, by form:
//                0 empty          nothing; no tick has a value, and the holes bit is not set
//                1 constant       zigzag(v)
//                2 delta          zigzag(v 0) zigzag(difference)*
//                3 acceleration   zigzag(v 0) zigzag(first difference) zigzag(difference of differences)*
//                4 raw            each double, 8 bytes little-endian
//                5 raw_constant   the double, once
//   v       := value * 10^scale, |v| < 2^53, where v / 10^scale gives the same double, bit for bit
//
// Each group has its own checksum and does not depend on the others, so a reader skips the groups that it does not
// need. Decoding returns for any bytes, also hostile ones, and allocates at most a few times frame_ticks_max doubles.
// All errors are Fault::broken.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/result.hpp"

namespace perjoule::storage {

inline constexpr std::size_t frame_ticks_max = 65536;  // of one group
inline constexpr std::size_t frame_columns_max = 65536;

// Ticks of one group. The value of column c at tick t is at index c * ticks + t.
struct GroupBlock {
  std::int64_t group = 0;
  std::vector<std::int64_t> stamps_ms;
  std::size_t columns = 0;
  std::vector<double> values;
  std::vector<std::uint8_t> present;  // 1: has a value; 0: a hole

  // Makes all cells holes; keeps the allocated memory.
  void reset(std::int64_t id, std::size_t column_count, std::size_t tick_count);
};

void begin_frame(std::string& frame, std::int64_t base_ms);
// 1 to frame_ticks_max ticks, at most frame_columns_max columns.
void append_group(std::string& frame, std::int64_t base_ms, const GroupBlock& block);

// Numbers of the columns of a group that a reader needs, ascending.
using Wanted = std::span<const std::size_t>;

struct ColumnView {
  std::int64_t group = 0;
  std::size_t column = 0;
  std::span<const std::int64_t> stamps_ms;
  std::span<const double> values;
  std::span<const std::uint8_t> present;
};

// Calls `each` for every column of the groups that the first callback accepts (decode_frame), or for the columns that
// it returns (decode_columns); empty columns are left out. On an error, the columns passed before it are valid.
[[nodiscard]] Result<void> decode_frame(std::string_view frame, const std::function<bool(std::int64_t group)>& want,
                                        const std::function<void(const ColumnView&)>& each);

[[nodiscard]] Result<void> decode_columns(std::string_view frame, const std::function<Wanted(std::int64_t group)>& want,
                                          const std::function<void(const ColumnView&)>& each);

}  // namespace perjoule::storage
