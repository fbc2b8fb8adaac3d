// A strict view of JSON in which every value and key knows its place. Comments (// and /* */) and trailing commas are
// allowed; duplicate keys, invalid UTF-8, control characters and whatever else RFC 8259 forbids are refused.
//
// The only home of nlohmann_json's parser. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/source_text.hpp"

namespace perjoule::config::json {

inline constexpr std::size_t text_max = std::size_t{4} << 20;  // bytes of one file
inline constexpr std::size_t depth_max = 64;
inline constexpr std::size_t values_max = 100'000;  // a file of "[1,1,1,..." would cost fifty times its size in memory

enum class Type : std::uint8_t { null, boolean, integer, number, text, array, object };

// "a text", "an object": as messages name it.
[[nodiscard]] std::string_view with_article(Type type);

struct Value {
  Type type = Type::null;
  Place place;
  std::string key;  // of a member of an object
  Place key_place;
  bool boolean = false;
  double number = 0;  // of an integer too; whole numbers above 2^53 are rounded
  std::string text;
  std::vector<Value> items;  // of an array, and the members of an object, in the order of the file
};

struct Problem {
  Place place;
  std::string path;  // "" where the text is no JSON at all
  std::string what;
  std::string help;
};

struct Document {
  std::string_view text;      // what was parsed, without a byte order mark: offsets count in it
  std::optional<Value> root;  // none when the text is not JSON: then `problems` holds the first error
  std::vector<Problem> problems;
};

// `text` outlives the document.
[[nodiscard]] Document read(std::string_view text);

// On one line; without places and comments it reads back as the same value.
[[nodiscard]] std::string write(const Value& value);

}  // namespace perjoule::config::json
