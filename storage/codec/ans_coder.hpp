// Entropy coding of unsigned integers by tabled asymmetric numeral systems (tANS). The size comes close to the entropy
// of the column, and decoding needs one table lookup per value (7 ns; Rice 4, a range coder 64). Against Rice it saves
// most when few magnitudes are frequent; the table costs about ten bytes per column.
//
//   coded  := table state value*         as a stream of bits (bits.hpp)
//   table  := log2 of its size (4 bits)  first token (8 bits)  number of tokens - 1 (8 bits)  parameter (2 bits)
//             level*                     of each token from the first on: zigzag(level - level before), Rice coded with
//                                        the parameter; the level before the first is 12
//   state  := the decoder's first state  (log2 of the table's size bits)
//   value  := the low bits that its token does not contain, then the bits that select the next state
//
// The table codes tokens, not values. The token of a value below 4 is the value. Above, it is (width - 2) * 4 + the two
// bits after the leading one, where width is the number of significant bits; the width - 3 low bits follow literally.
// A level is the token of the number of times that a token occurs, which states that number to an eighth. Encoder and
// decoder build the same table from the levels.
//
// Pure; one object per thread. Source: J. Duda, "Asymmetric numeral systems" (arXiv:1311.2540), tabled variant; tokens
// are spread over the states as in RFC 8878 (Zstandard), section 4.1.1.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace perjoule::storage {

class AnsEncoder {
 public:
  // Appends to `out`. At most 2^32 - 1 values.
  void encode(std::string& out, std::span<const std::uint64_t> values);

 private:
  // The bits to write for a value. They are found from the last value to the first, and written in the reverse order.
  struct Step {
    std::uint16_t bits = 0;  // bits that select the next state; until they are known, the value's token
    std::uint8_t count = 0;  // how many they are
    std::uint8_t below = 0;  // low bits of the value that follow literally
  };
  std::vector<Step> steps_;  // kept between calls, so that no memory is allocated in a steady state
};

// Fills `values`. False: the table is invalid, or the bytes end too early. Damaged bytes may give wrong values, but no
// access out of bounds; the caller has a checksum.
[[nodiscard]] bool ans_decode(std::string_view bytes, std::span<std::uint64_t> values);

}  // namespace perjoule::storage
