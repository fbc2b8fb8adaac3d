#include "config/json_cursor.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "config/quantity_text.hpp"
#include "config/suggestion.hpp"
#include "config/text.hpp"

namespace perjoule::config {

using json::Type;

namespace {

bool is_remark(std::string_view key) {
  return key == "//" || key.starts_with("x-");
}

// A key as part of a path. quote_short() cuts long keys and escapes control characters; a key that it changed is shown
// quoted.
std::string shown(std::string_view key) {
  std::string quoted = text::quoted_short(key);
  return quoted.size() == key.size() + 2 ? std::string(key) : quoted;
}

std::string seconds(std::int64_t milliseconds) {
  return format_duration(static_cast<double>(milliseconds) / 1000);
}

}  // namespace

void JsonCursor::refuse(std::string what, std::string help) const {
  problems_->push_back({value_->place, path_, std::move(what), std::move(help)});
}

void JsonCursor::refuse_key(std::string what, std::string help) const {
  problems_->push_back({value_->key_place, path_, std::move(what), std::move(help)});
}

bool JsonCursor::expect(Type type) const {
  if (value_->type == type) return true;
  std::string help;
  if (type == Type::array && value_->type == Type::text)
    help = fmt::format("write [{}]", text::quoted_short(value_->text));
  refuse(fmt::format("expected {}, got {}", with_article(type), with_article(value_->type)), std::move(help));
  return false;
}

void JsonCursor::expect_members(std::span<const std::string_view> known) const {
  for (const JsonCursor& member : items()) {
    if (is_remark(member.key()) || std::find(known.begin(), known.end(), member.key()) != known.end()) continue;
    std::string help = did_you_mean(member.key(), known);
    if (help.empty()) help = fmt::format("known keys: {}", fmt::join(known, ", "));
    member.refuse_key("unknown key", std::move(help));
  }
}

std::optional<JsonCursor> JsonCursor::find(std::string_view key) const {
  for (const json::Value& member : value_->items) {
    if (member.key == key) return JsonCursor(member, fmt::format("{}.{}", path_, key), *problems_);
  }
  return std::nullopt;
}

std::vector<JsonCursor> JsonCursor::items() const {
  std::vector<JsonCursor> found;
  for (const json::Value& item : value_->items) {
    std::string path = value_->type == Type::array ? fmt::format("{}[{}]", path_, found.size())
                                                   : fmt::format("{}.{}", path_, shown(item.key));
    found.emplace_back(item, std::move(path), *problems_);
  }
  return found;
}

std::optional<std::string> JsonCursor::text(std::size_t length_max) const {
  if (!expect(Type::text)) return std::nullopt;
  if (value_->text.empty()) {
    refuse("must not be empty");
  } else if (value_->text.size() > length_max) {
    refuse(fmt::format("must not be longer than {} bytes", length_max));
  } else if (value_->text.find('\0') != std::string::npos) {
    refuse("must not contain a NUL byte");
  } else {
    return value_->text;
  }
  return std::nullopt;
}

std::optional<double> JsonCursor::number() const {
  if (value_->type == Type::integer || value_->type == Type::number) return value_->number;
  refuse(fmt::format("expected a number, got {}", with_article(value_->type)));
  return std::nullopt;
}

std::optional<bool> JsonCursor::boolean() const {
  if (!expect(Type::boolean)) return std::nullopt;
  return value_->boolean;
}

std::optional<std::int64_t> JsonCursor::duration_ms(std::int64_t min_ms, std::int64_t max_ms) const {
  if (value_->type != Type::text) {
    std::string help;
    if (value_->type == Type::integer) help = fmt::format("write \"{}s\" for seconds", format_number(value_->number));
    refuse(fmt::format("expected a duration such as \"5m\", got {}", with_article(value_->type)), std::move(help));
    return std::nullopt;
  }
  const Checked<double> parsed = parse_duration(value_->text);
  if (!parsed) {
    refuse(parsed.error().what, parsed.error().help);
    return std::nullopt;
  }
  const std::int64_t milliseconds = std::llround(*parsed * 1000);
  if (milliseconds >= min_ms && milliseconds <= max_ms) return milliseconds;
  refuse(fmt::format("{} is out of range", seconds(milliseconds)),
         fmt::format("the range is {} to {}", seconds(min_ms), seconds(max_ms)));
  return std::nullopt;
}

std::optional<std::size_t> JsonCursor::word(std::span<const std::string_view> words) const {
  if (!expect(Type::text)) return std::nullopt;
  const auto found = std::find(words.begin(), words.end(), value_->text);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  refuse(fmt::format("expected one of {}, got {}", fmt::join(words, ", "), text::quoted_short(value_->text)),
         did_you_mean(value_->text, words));
  return std::nullopt;
}

}  // namespace perjoule::config
