#include "config/source_text.hpp"

#include <algorithm>

#include "config/utf8.hpp"

namespace perjoule::config {
namespace {

constexpr std::string_view cut_mark = "...";

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

}  // namespace

std::size_t first_invalid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text.substr(at));
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
