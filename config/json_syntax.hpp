// What lies around nlohmann_json's parser: the preparation of the text that it is given, and the explanation of an
// error that it meets (its own messages count bytes and quote tokens). Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/json_reader.hpp"

namespace perjoule::config::json {

// Refuses what the parser would let pass or stop at in silence: invalid UTF-8 in a comment, a NUL (which it takes for
// the end of the file), a comment that is not closed, a text that is too long.
[[nodiscard]] std::optional<Problem> check_text(std::string_view text);

// The text with trailing commas and comments as blanks: offsets and lines stay.
[[nodiscard]] std::string blank_extensions(std::string_view text);

// What the parser had read when it stopped.
enum class Read : std::uint8_t { nothing, object_open, key, member, array_open, item, all };

// `text` is blanked; the parser understood everything before `from`; `open` is the innermost open bracket, if any.
[[nodiscard]] Problem explain_syntax_error(std::string_view text, std::size_t from, Read read,
                                           std::optional<Place> open);

}  // namespace perjoule::config::json
