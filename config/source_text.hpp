// Positions in a source file, and the excerpt of a line that an error message shows. Values only; any thread.
//
// Lines and columns count from 1. A column is a character (a UTF-8 sequence) and not a byte, so that the caret under
// the line is in the right place.
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

// Number of characters of valid UTF-8.
[[nodiscard]] std::size_t characters(std::string_view text);

// Finds the lines and columns of offsets that are given in ascending order, in one pass over the text.
class Locator {
 public:
  explicit Locator(std::string_view text) : text_(text) {}
  // `begin` must not be smaller than that of the previous call; `end` must be on the same line.
  [[nodiscard]] Place at(std::size_t begin, std::size_t end);

 private:
  std::string_view text_;
  std::size_t offset_ = 0;
  std::size_t line_ = 1;
  std::size_t column_ = 1;
};

// The line around `offset`, at most `excerpt_columns` wide; removed parts become "...". Reads only the neighbourhood of
// the offset, since a hostile file may be one line of megabytes.
inline constexpr std::size_t excerpt_columns = 120;
struct Excerpt {
  std::string line;
  std::size_t caret = 0;  // characters of `line` before the offset
};
[[nodiscard]] Excerpt excerpt(std::string_view text, std::size_t offset);

}  // namespace perjoule::config
