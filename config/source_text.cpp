#include "config/source_text.hpp"

#include <algorithm>
#include <cstdint>

namespace perjoule::config {
namespace {

constexpr std::string_view cut_mark = "...";

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

// Bytes of the valid sequence at the front of `text`; 0 when there is none. Table 3-7 of the Unicode standard.
std::size_t sequence_length(std::string_view text) {
  auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0}; };
  auto within = [&](std::size_t i, unsigned low, unsigned high) { return byte(i) >= low && byte(i) <= high; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return within(1, 0x80, 0xBF) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : 0xBF;
    return within(1, low, high) && within(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const unsigned low = lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;
    return within(1, low, high) && within(2, 0x80, 0xBF) && within(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::size_t first_invalid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = sequence_length(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

Place Locator::at(std::size_t begin, std::size_t end) {
  for (; offset_ < begin && offset_ < text_.size(); ++offset_) {
    if (text_[offset_] == '\n') {
      ++line_;
      column_ = 1;
    } else if (!continues(text_[offset_])) {
      ++column_;
    }
  }
  const std::size_t length = characters(text_.substr(offset_, end > offset_ ? end - offset_ : 0));
  return Place{offset_, line_, column_, std::max<std::size_t>(length, 1)};
}

Excerpt excerpt(std::string_view text, std::size_t offset) {
  offset = std::min(offset, text.size());
  auto back = [text](std::size_t at, std::size_t count) {
    while (at > 0 && text[at - 1] != '\n' && count > 0) {
      if (!continues(text[--at])) --count;
    }
    return at;
  };
  auto ends_line = [text](std::size_t at) { return at == text.size() || text[at] == '\n' || text[at] == '\r'; };
  auto forward = [text, ends_line](std::size_t at, std::size_t count) {
    for (; !ends_line(at); ++at) {
      if (!continues(text[at]) && count-- == 0) break;
    }
    return at;
  };
  auto starts_line = [text](std::size_t at) { return at == 0 || text[at - 1] == '\n'; };

  std::size_t begin = back(offset, excerpt_columns);
  std::size_t end = forward(offset, excerpt_columns);
  const bool whole = starts_line(begin) && ends_line(end);
  if (!whole || characters(text.substr(begin, end - begin)) > excerpt_columns) {
    begin = back(offset, excerpt_columns / 2);
    const std::size_t room = excerpt_columns - 2 * cut_mark.size();
    end = forward(offset, room - characters(text.substr(begin, offset - begin)));
  }
  std::string line(starts_line(begin) ? "" : cut_mark);
  const std::size_t caret = line.size() + characters(text.substr(begin, offset - begin));
  line += text.substr(begin, end - begin);
  if (!ends_line(end)) line += cut_mark;
  std::replace(line.begin(), line.end(), '\r', ' ');
  return Excerpt{std::move(line), caret};
}

}  // namespace perjoule::config
