#include "config/json_syntax.hpp"

#include "config/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace perjoule::config::json {
namespace {

constexpr std::string_view blanks = " \t\r\n";
constexpr std::string_view number_characters = "+-.0123456789Ee";

std::size_t skip(std::string_view text, std::size_t from, std::string_view set) {
  return std::min(text.find_first_not_of(set, from), text.size());
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r';
}
bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.' || c == '+';
}

// Offset after the string that starts at `at`: after its closing quote, or at the end of the line if it has none.
std::size_t string_end(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '\n'; ++at) {
    if (text[at] == '"') return at + 1;
    if (text[at] == '\\' && at + 1 < text.size() && text[at + 1] != '\n') ++at;
  }
  return at;
}

bool comment_starts(std::string_view text, std::size_t at, char kind) {
  return text[at] == '/' && at + 1 < text.size() && text[at + 1] == kind;
}

// Offset after the comment that starts at `at`; npos if a block comment is unterminated.
std::size_t comment_end(std::string_view text, std::size_t at) {
  if (text[at + 1] == '/') return std::min(text.find('\n', at), text.size());
  const std::size_t close = text.find("*/", at + 2);
  return close == std::string_view::npos ? close : close + 2;
}

Problem problem_at(std::string_view text, std::size_t begin, std::size_t end, std::string what, std::string help = {}) {
  return Problem{Locator(text).at(begin, end), "", std::move(what), std::move(help)};
}

// Finds the error in the malformed string that starts at `at`.
Problem explain_string(std::string_view text, std::size_t at) {
  const std::size_t end = string_end(text, at);
  if (end < at + 2 || text[end - 1] != '"') {
    const std::size_t line_end = end > at && text[end - 1] == '\r' ? end - 1 : end;
    return problem_at(text, at, line_end, "unterminated string", "put a \" at its end");
  }
  for (std::size_t i = at + 1; i + 1 < end; ++i) {
    if (text[i] == '\t') return problem_at(text, i, i + 1, "a tab inside a string", "write \\t");
    if (text[i] == '\r') return problem_at(text, i, i + 1, "a line break inside a string", "write \\n");
    if (text[i] != '\\') continue;
    const char kind = text[i + 1];
    if (kind == 'u') {
      const std::string_view digits = text.substr(i + 2, 4);
      if (digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos || i + 6 >= end) {
        return problem_at(text, i, std::min(i + 6, end - 1), "\\u must be followed by four hexadecimal digits");
      }
    } else if (std::string_view("\"\\/bfnrt").find(kind) == std::string_view::npos) {
      return problem_at(text, i, i + 2, "unknown escape in a string", "a backslash is written \\\\");
    }
    ++i;
  }
  return problem_at(text, at, end, "half of a \\u surrogate pair in a string", "write the character itself");
}

Problem explain_number(std::string_view text, std::size_t at) {
  const std::size_t end = skip(text, at, number_characters);
  double ignored = 0;
  const auto read = std::from_chars(text.data() + at, text.data() + end, ignored);
  if (read.ec == std::errc::result_out_of_range) return problem_at(text, at, end, "the number is too large");
  return problem_at(text, at, end, "malformed number", "numbers look like 12, -3 or 0.5");
}

std::string help_for_word(std::string_view word, bool wants_value) {
  if (!wants_value) return "keys need double quotes";
  if (word == "True" || word == "False") return word == "True" ? "write true" : "write false";
  if (word == "None" || word == "NULL" || word == "nil") return "write null";
  return "strings need double quotes";
}

// What the grammar expects at `at`, which moves past a separator if it is there.
std::string_view expected(std::string_view text, std::size_t& at, Read read) {
  auto take = [&](char separator) {
    if (at >= text.size() || text[at] != separator) return false;
    at = skip(text, at + 1, blanks);
    return true;
  };
  switch (read) {
    case Read::nothing:
      return "\"{\"";
    case Read::object_open:
      return "a key or \"}\"";
    case Read::key:
      return take(':') ? "a value" : "\":\"";
    case Read::member:
      return take(',') ? "a key" : "\",\" or \"}\"";
    case Read::array_open:
      return "a value or \"]\"";
    case Read::item:
      return take(',') ? "a value" : "\",\" or \"]\"";
    case Read::all:
      return "the end of the file";
  }
  return "";
}

}  // namespace

std::optional<Problem> check_text(std::string_view text) {
  if (text.size() > text_max) return problem_at({}, 0, 0, fmt::format("longer than {} MiB", text_max >> 20));
  if (const std::size_t at = first_invalid_utf8(text); at != std::string_view::npos) {
    return problem_at(text, at, at + 1, fmt::format("byte 0x{:02x} is not UTF-8", static_cast<unsigned char>(text[at])),
                      "save the file as UTF-8");
  }
  const auto control = std::find_if(text.begin(), text.end(), is_control);
  if (control != text.end()) {
    const auto at = static_cast<std::size_t>(control - text.begin());
    return problem_at(text, at, at + 1, fmt::format("control character 0x{:02x}", static_cast<unsigned>(*control)));
  }
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '"') {
      at = string_end(text, at);
    } else if (comment_starts(text, at, '*') || comment_starts(text, at, '/')) {
      const std::size_t end = comment_end(text, at);
      if (end == std::string_view::npos) {
        return problem_at(text, at, at + 2, "unterminated comment", "put */ at its end");
      }
      at = end;
    } else {
      ++at;
    }
  }
  return std::nullopt;
}

std::string blank_extensions(std::string_view text) {
  std::string blanked(text);
  char before_comma = '[';          // last character that is not blank; a comma is trailing only after a value
  std::size_t comma = text.size();  // offset of a comma with only blanks after it so far; text.size(): none
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at + 1;
    const char c = text[at];
    if (comment_starts(text, at, '*') || comment_starts(text, at, '/')) {
      end = std::min(comment_end(text, at), text.size());
      std::replace_if(
          blanked.begin() + static_cast<std::ptrdiff_t>(at), blanked.begin() + static_cast<std::ptrdiff_t>(end),
          [](char inside) { return blanks.find(inside) == std::string_view::npos; }, ' ');
    } else if (c == ',') {
      comma = std::string_view("[{,:").find(before_comma) == std::string_view::npos ? at : text.size();
      before_comma = c;
    } else if (blanks.find(c) == std::string_view::npos) {
      if ((c == ']' || c == '}') && comma < text.size()) blanked[comma] = ' ';
      comma = text.size();
      before_comma = c;
      if (c == '"') end = string_end(text, at);
    }
    at = end;
  }
  return blanked;
}

namespace {

// Reports the error after the last token instead of at the end of the file, so that the caret is on a line with
// content.
Problem explain_end(std::string_view text, std::string_view want, const std::optional<Place>& open) {
  const std::size_t last = text.find_last_not_of(blanks);
  const std::size_t behind = last == std::string_view::npos ? 0 : last + 1;
  std::string help =
      open ? fmt::format("the bracket of line {} is not closed", open->line) : "the smallest valid configuration is {}";
  return problem_at(text, behind, behind, fmt::format("expected {}, got the end of the file", want), std::move(help));
}

std::size_t end_of_character(std::string_view text, std::size_t at) {
  std::size_t end = at + 1;
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
    ++end;
  return end;
}

// The unexpected token at `at`: where it ends, and a help for it.
struct Found {
  std::size_t end = 0;
  std::string help = {};
};
Found find_stray(std::string_view text, std::size_t at, Read read, bool wants_value, bool wants_key) {
  const char c = text[at];
  if (c == '"') {
    const bool behind = read == Read::member || read == Read::item;
    return {string_end(text, at), behind ? "a comma is missing before it" : ""};
  }
  if (c == '\'') return {at + 1, "strings and keys need double quotes"};
  if (!is_word(c)) return {end_of_character(text, at)};
  std::size_t end = at + 1;
  while (end < text.size() && is_word(text[end]))
    ++end;
  return {end, wants_value || wants_key ? help_for_word(text.substr(at, end - at), wants_value) : ""};
}

}  // namespace

Problem explain_syntax_error(std::string_view text, std::size_t from, Read read, std::optional<Place> open) {
  std::size_t at = skip(text, from, blanks);
  const std::string_view want = expected(text, at, read);
  const bool wants_value = want.starts_with("a value") || read == Read::nothing;
  const bool wants_key = want.starts_with("a key");
  if (at >= text.size()) return explain_end(text, want, open);
  const char c = text[at];
  const bool digit = c >= '0' && c <= '9';
  if (c == '"' && (wants_value || wants_key)) return explain_string(text, at);
  if (wants_value && (c == '-' || digit)) return explain_number(text, at);
  if (digit && at > 0 && text[at - 1] == '0') {
    return problem_at(text, at - 1, skip(text, at, number_characters), "a number starts with 0",
                      "write it without the leading 0");
  }
  Found found = find_stray(text, at, read, wants_value, wants_key);
  const std::string got =
      c == '"' ? "a string" : text::quoted(text.substr(at, std::min<std::size_t>(found.end - at, 60)));
  return problem_at(text, at, found.end, fmt::format("expected {}, got {}", want, got), std::move(found.help));
}

}  // namespace perjoule::config::json
