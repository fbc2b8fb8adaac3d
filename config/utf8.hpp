// Well-formed UTF-8 (The Unicode Standard 15, table 3-7). Pure; any thread.
#pragma once

#include <cstddef>
#include <string_view>

namespace perjoule {

// Length in bytes of the character at the front of `text`: 1 to 4; 0 if it is not well-formed or `text` is empty.
[[nodiscard]] std::size_t utf8_length(std::string_view text);

}  // namespace perjoule
