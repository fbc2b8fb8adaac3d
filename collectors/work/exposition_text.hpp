// Helpers of the exposition parser: family types, name suffixes, numbers, a check of UTF-8, and input quoted for error
// messages. Pure; any thread. exposition_parser.hpp names the specifications.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "collectors/work/exposition_parser.hpp"

namespace perjoule::exposition {

// The type on a TYPE line; none if this dialect does not have it.
[[nodiscard]] std::optional<FamilyType> parse_type(std::string_view word, Dialect dialect);

// Whether `suffix` may follow the family's name in the name of one of its samples.
[[nodiscard]] bool has_suffix(FamilyType type, Dialect dialect, std::string_view suffix);

// Decimal numbers, NaN and infinities (in any letter case, as OpenMetrics' grammar allows and as C++ and Rust exporters
// write them). None if it is not a number or does not fit a double. from_chars alone would accept "nan(0)".
[[nodiscard]] std::optional<double> parse_number(std::string_view token);

// For messages: quoted, at most 40 bytes, unprintable bytes as \xNN.
[[nodiscard]] std::string shown(std::string_view text);

// Offset of the first byte that is NUL or not part of valid UTF-8 (RFC 3629); npos if there is none.
[[nodiscard]] std::size_t find_bad_byte(std::string_view text);

}  // namespace perjoule::exposition
