// Coding of unsigned integers by asymmetric numeral systems over a table: as small as the odds of a column allow, in
// one look into the table a value. Beside Rice it saves most where few sizes are likely, and costs its table.
//
//   coded  := table state bits of the values, from the first on
//   table  := log of its size (4 bits) first token (8) tokens less one (8) parameter (2)
//             for each token from the first on: Rice of the parameter of zigzag(level - level before)
//   state  := where to begin in the table
//   bits   := of a value: those below its token's, then those that lead to the next state
//
// A token is the value below 4, and above it the number of bits of a value with the two below the leading one. A level
// is the token of how often a token comes, which keeps that to an eighth; from the levels both sides make the same
// table.
//
// Pure; any thread. Source: J. Duda, "Asymmetric numeral systems" (arXiv:1311.2540), tabled variant; the order of
// symbols in the table is that of RFC 8878, section 4.1.1.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace perjoule::storage {

class AnsEncoder {
 public:
  // Appends to `out`; values are fewer than 2^32.
  void encode(std::string& out, std::span<const std::uint64_t> values);

 private:
  // What the decoder reads of a value.
  struct Step {
    std::uint16_t bits = 0;  // that lead from its state to the next; before they are known the value's token
    std::uint8_t count = 0;
    std::uint8_t below = 0;
  };
  std::vector<Step> steps_;  // kept between calls, so that a steady state allocates nothing
};

// Fills `values`. False: the bytes hold no table, or end before it is full. Wrong bytes give wrong values, never harm.
[[nodiscard]] bool ans_decode(std::string_view bytes, std::span<std::uint64_t> values);

}  // namespace perjoule::storage
