// Words of exposition text: types, suffixes, numbers, UTF-8, and how foreign bytes are shown in a message. Pure; any
// thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "collectors/work/exposition_parser.hpp"

namespace perjoule::exposition {

// The word of a TYPE line.
[[nodiscard]] std::optional<FamilyType> parse_type(std::string_view word, Dialect dialect);

// Is `suffix` what may follow the family's name in the name of one of its samples?
[[nodiscard]] bool has_suffix(FamilyType type, Dialect dialect, std::string_view suffix);

// Decimal numbers, NaN and infinities (in any case, as OpenMetrics' grammar has it and as C++ and Rust exporters write
// them). Nothing where it is none, or does not fit a double. from_chars alone would take "nan(0)".
[[nodiscard]] std::optional<double> parse_number(std::string_view token);

// For messages: printable and short, whatever the bytes are.
[[nodiscard]] std::string shown(std::string_view text);

// Where the first byte stands that is no UTF-8 (RFC 3629), or is NUL; npos where all are good.
[[nodiscard]] std::size_t find_bad_byte(std::string_view text);

}  // namespace perjoule::exposition
