#include "config/utf8.hpp"

#include <array>
#include <cstdint>

namespace perjoule {

namespace {

// The second bytes allowed after a first byte; further bytes are 80 to BF.
struct Row {
  std::uint8_t first_low, first_high, length, second_low, second_high;
};
constexpr std::array<Row, 9> rows = {{{0x00, 0x7F, 1, 0, 0},
                                      {0xC2, 0xDF, 2, 0x80, 0xBF},
                                      {0xE0, 0xE0, 3, 0xA0, 0xBF},
                                      {0xE1, 0xEC, 3, 0x80, 0xBF},
                                      {0xED, 0xED, 3, 0x80, 0x9F},
                                      {0xEE, 0xEF, 3, 0x80, 0xBF},
                                      {0xF0, 0xF0, 4, 0x90, 0xBF},
                                      {0xF1, 0xF3, 4, 0x80, 0xBF},
                                      {0xF4, 0xF4, 4, 0x80, 0x8F}}};

bool within(char c, std::uint8_t low, std::uint8_t high) {
  const auto byte = static_cast<std::uint8_t>(c);
  return byte >= low && byte <= high;
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  for (const Row& row : rows) {
    if (!within(text[0], row.first_low, row.first_high)) continue;
    if (text.size() < row.length) return 0;
    if (row.length > 1 && !within(text[1], row.second_low, row.second_high)) return 0;
    for (std::size_t i = 2; i < row.length; ++i) {
      if (!within(text[i], 0x80, 0xBF)) return 0;
    }
    return row.length;
  }
  return 0;
}

}  // namespace perjoule
