// Reads JSON into a tree in which every value and key has its position (line, column, offset), for error messages.
// Accepts RFC 8259 and also comments (// and /* */) and trailing commas. Refuses duplicate keys, invalid UTF-8 and
// control characters.
//
// The only file that uses nlohmann_json's parser. Pure; any thread.
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
inline constexpr std::size_t values_max = 100'000;  // a file of "[1,1,1,..." takes 50 times its size in memory

enum class Type : std::uint8_t { null, boolean, integer, number, text, array, object };

// "a string", "an object", for messages.
[[nodiscard]] std::string_view with_article(Type type);

struct Value {
  Type type = Type::null;
  Place place;
  std::string key;  // only of a member of an object
  Place key_place;
  bool boolean = false;
  double number = 0;         // of a number or an integer; integers above 2^53 are rounded
  std::string text;          // of a string, without escapes
  std::vector<Value> items;  // of an array or object, in the order of the file
};

struct Problem {
  Place place;
  std::string path;  // of the value, such as "alerts.rules[2].alert"; "" for the whole file
  std::string what;
  std::string help;  // how to fix it, or ""
};

struct Document {
  std::string_view text;      // the input without its byte order mark; offsets of places count from its start
  std::optional<Value> root;  // nothing if the input is not valid JSON; `problems` then has the first error only
  std::vector<Problem> problems;
};

// `text` must outlive the document.
[[nodiscard]] Document read(std::string_view text);

// As JSON on one line. read() gives the same value back, except for places and comments.
[[nodiscard]] std::string write(const Value& value);

}  // namespace perjoule::config::json
