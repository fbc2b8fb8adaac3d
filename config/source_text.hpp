// Places in a text, and the cut of a line that a refusal shows. Values only; any thread.
//
// Lines and columns count from 1; a column is a character (a UTF-8 sequence), so that a caret under it stands right.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace perjoule::config {

struct Place {
  std::size_t offset = 0;  // in bytes
  std::size_t line = 1;
  std::size_t column = 1;
  std::size_t length = 1;  // in characters; 1 for an object or an array, which may span lines
};

// Offset of the first byte that is not part of valid UTF-8 (RFC 3629: no overlong forms, no surrogates); npos if none.
[[nodiscard]] std::size_t first_invalid_utf8(std::string_view text);

// Characters of a valid UTF-8 text.
[[nodiscard]] std::size_t characters(std::string_view text);

// Finds lines and columns of offsets that are asked for in ascending order, in one walk over the text.
class Locator {
 public:
  explicit Locator(std::string_view text) : text_(text) {}
  // `begin` no smaller than that of the call before; `end` on the same line.
  [[nodiscard]] Place at(std::size_t begin, std::size_t end);

 private:
  std::string_view text_;
  std::size_t offset_ = 0;
  std::size_t line_ = 1;
  std::size_t column_ = 1;
};

// The line around `offset`, at most `excerpt_columns` wide; what is cut off is written "...". Touches only the
// neighbourhood of the offset, since a hostile file is one line of megabytes.
inline constexpr std::size_t excerpt_columns = 120;
struct Excerpt {
  std::string line;
  std::size_t caret = 0;  // characters of `line` before the offset
};
[[nodiscard]] Excerpt excerpt(std::string_view text, std::size_t offset);

}  // namespace perjoule::config
