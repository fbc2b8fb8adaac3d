// The codec of a tail frame: what was sampled between two commits, bit-exact, in about two bytes a sample. Pure; any
// thread.
//
//   frame   := 01                     format
//              zigzag(base)           milliseconds since the epoch
//              group*
//              zeros to fill the row up; or none
//   group   := varint(size of body) crc32(body), little-endian
//              body
//   body    := varint(grp.id) varint(ticks) varint(columns)
//              zigzag(stamp 0 - base) zigzag(first difference) zigzag(difference of differences)*
//              column*
//   column  := tag: form (bits 0-2), holes (bit 3), decimal scale 0 to 6 (bits 4-6)
//              bitmap                 with holes only: bit n % 8 of byte n / 8 says that tick n has a value
//              values of the ticks that have one:
//                empty          nothing; no tick has a value, and the holes bit is not set
//                constant       zigzag(v)
//                delta          zigzag(v 0) zigzag(difference)*
//                acceleration   zigzag(v 0) zigzag(first difference) zigzag(difference of differences)*
//                raw            the double, 8 bytes little-endian, each
//                raw_constant   the double, once
//   v       := value * 10^scale, |v| < 2^53, where v / 10^scale gives the same double back, bit for bit
//
// Each group stands for itself and has its own checksum, so that a reader skips what it does not want. Decoding is
// total: whatever the bytes are, it returns, and allocates no more than a few times frame_ticks_max doubles.
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

// Ticks of one group. A cell of column c at tick t stands at c * ticks + t.
struct GroupBlock {
  std::int64_t group = 0;
  std::vector<std::int64_t> stamps_ms;
  std::size_t columns = 0;
  std::vector<double> values;
  std::vector<std::uint8_t> present;  // 0: a hole

  // All holes; keeps the memory.
  void reset(std::int64_t id, std::size_t column_count, std::size_t tick_count);
};

void begin_frame(std::string& frame, std::int64_t base_ms);
// 1 to frame_ticks_max ticks, at most frame_columns_max columns.
void append_group(std::string& frame, std::int64_t base_ms, const GroupBlock& block);

// Columns of a group, ascending.
using Wanted = std::span<const std::size_t>;

struct ColumnView {
  std::int64_t group = 0;
  std::size_t column = 0;
  std::span<const std::int64_t> stamps_ms;
  std::span<const double> values;
  std::span<const std::uint8_t> present;
};

// Calls `each` for the columns of the groups that `want` accepts, or for those that it names; empty columns are left
// out. On an error what came before it was good.
[[nodiscard]] Result<void> decode_frame(std::string_view frame, const std::function<bool(std::int64_t group)>& want,
                                        const std::function<void(const ColumnView&)>& each);

[[nodiscard]] Result<void> decode_columns(std::string_view frame, const std::function<Wanted(std::int64_t group)>& want,
                                          const std::function<void(const ColumnView&)>& each);

}  // namespace perjoule::storage
