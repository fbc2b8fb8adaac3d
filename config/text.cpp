#include "config/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "config/utf8.hpp"

namespace perjoule::text {
namespace {

constexpr std::string_view replacement_character = "\xEF\xBF\xBD";

// `c`: a control character, a quote or a backslash.
void append_escaped(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
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
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
  }
}

// `invalid` is written in place of each byte that is not part of valid UTF-8.
void append_quoted(std::string& out, std::string_view text, std::string_view invalid) {
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x80) {
      const std::size_t length = utf8_length(text.substr(i));
      out += length == 0 ? invalid : text.substr(i, length);
      i += std::max<std::size_t>(length, 1);
      continue;
    }
    if (byte < 0x20 || byte == '"' || byte == '\\' || byte == 0x7F) {
      append_escaped(out, text[i]);
    } else {
      out += text[i];
    }
    ++i;
  }
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
