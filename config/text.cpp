#include "config/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "config/utf8.hpp"

namespace perjoule::text {
namespace {

constexpr std::string_view replacement_character = "\xEF\xBF\xBD";

// Characters that act on a terminal or on the text around them instead of being shown. `character` is one well-formed
// UTF-8 sequence.
bool is_hidden(std::string_view character) {
  const auto byte = [character](std::size_t i) { return static_cast<unsigned char>(character[i]); };
  if (character.size() == 1) return byte(0) < 0x20 || byte(0) == 0x7F;
  if (character.size() == 2) {
    const unsigned point = (byte(0) & 0x1FU) << 6U | (byte(1) & 0x3FU);
    return point < 0xA0 || point == 0x061C;  // C1; ARABIC LETTER MARK
  }
  if (character.size() != 3) return false;
  const unsigned point = (byte(0) & 0x0FU) << 12U | (byte(1) & 0x3FU) << 6U | (byte(2) & 0x3FU);
  // Without width and the marks of direction; line and paragraph separators, embeddings and overrides; isolates; the
  // byte order mark (The Unicode Standard 15, 23.2 and UAX #9).
  return (point >= 0x200B && point <= 0x200F) || (point >= 0x2028 && point <= 0x202E) ||
         (point >= 0x2060 && point <= 0x206F) || point == 0xFEFF;
}

// Nearly every text is one run of these: bytes that are shown as they are, in quotes too.
std::size_t plain_length(std::string_view text) {
  const auto is_special = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte >= 0x7F || c == '"' || c == '\\';
  };
  return static_cast<std::size_t>(std::find_if(text.begin(), text.end(), is_special) - text.begin());
}

// `character`: one that is_hidden() names.
void append_escaped(std::string& out, std::string_view character) {
  switch (character.front()) {
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  unsigned point = static_cast<unsigned char>(character.front());
  if (character.size() == 2) point &= 0x1FU;
  if (character.size() == 3) point &= 0x0FU;
  for (const char next : character.substr(1))
    point = point << 6U | (static_cast<unsigned char>(next) & 0x3FU);
  fmt::format_to(std::back_inserter(out), "\\u{:04x}", point);
}

// Appends `text` with its hidden characters escaped. `invalid` appends something for a byte that is not part of valid
// UTF-8, `shown` any other character.
template <class Invalid, class Shown>
void append_visible(std::string& out, std::string_view text, const Invalid& invalid, const Shown& shown) {
  while (!text.empty()) {
    const std::size_t plain = plain_length(text);
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) return;
    const std::size_t length = utf8_length(text);
    const std::string_view character = text.substr(0, std::max<std::size_t>(length, 1));
    text.remove_prefix(character.size());
    if (length == 0) {
      invalid(character.front());
    } else if (is_hidden(character)) {
      append_escaped(out, character);
    } else {
      shown(character);
    }
  }
}

// `invalid` is written in place of each byte that is not part of valid UTF-8.
void append_quoted(std::string& out, std::string_view text, std::string_view invalid) {
  out += '"';
  append_visible(
      out, text, [&](char) { out += invalid; },
      [&](std::string_view character) {
        if (character == "\"" || character == "\\") out += '\\';
        out += character;
      });
  out += '"';
}

}  // namespace

void append_quoted(std::string& out, std::string_view text) {
  append_quoted(out, text, replacement_character);
}

std::string quoted(std::string_view text) {
  std::string out;
  append_quoted(out, text);
  return out;
}

std::string quoted_short(std::string_view text) {
  constexpr std::size_t length_max = 60;
  std::string out;
  append_quoted(out, text.substr(0, length_max), "?");
  return out + (text.size() > length_max ? "..." : "");
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  append_visible(
      out, text,
      [&](char byte) { fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(byte)); },
      [&](std::string_view character) { out += character; });
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return lower(c); });
  return out;
}

bool equal_ignoring_case(std::string_view text, std::string_view lower_case) {
  return std::equal(text.begin(), text.end(), lower_case.begin(), lower_case.end(),
                    [](char left, char right) { return lower(left) == right; });
}

}  // namespace perjoule::text
