// The parts of reading JSON before and after nlohmann_json's parser: preparing its input (it knows no trailing commas),
// and explaining a syntax error (its own messages give byte offsets and tokens). Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/json_reader.hpp"

namespace perjoule::config::json {

// Refuses input that the parser would accept or stop at without an error: invalid UTF-8 in a comment, a NUL (which it
// treats as the end of the file) and other control characters, an unterminated comment, input that is too long.
[[nodiscard]] std::optional<Problem> check_text(std::string_view text);

// `text` with trailing commas and comments replaced by blanks, so that offsets and lines do not change.
[[nodiscard]] std::string blank_extensions(std::string_view text);

// What the parser had read last when it stopped.
enum class Read : std::uint8_t { nothing, object_open, key, member, array_open, item, all };

// `text` is the result of blank_extensions(); everything before `from` was parsed; `open` is the innermost open
// bracket, if any.
[[nodiscard]] Problem explain_syntax_error(std::string_view text, std::size_t from, Read read,
                                           std::optional<Place> open);

}  // namespace perjoule::config::json
