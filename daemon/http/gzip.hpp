// gzip (RFC 1952) by zlib, this library's only home.
#pragma once

#include <string>
#include <string_view>

namespace perjoule::http {

// `level` 1 (fast) to 9. Never fails short of memory.
[[nodiscard]] std::string gzip(std::string_view text, int level = 1);

// True when an Accept-Encoding header admits gzip (RFC 9110 12.5.3): q=0 refuses it, "*" admits it, absent is identity.
[[nodiscard]] bool accepts_gzip(std::string_view accept_encoding);

}  // namespace perjoule::http
