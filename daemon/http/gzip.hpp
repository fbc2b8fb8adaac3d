// gzip compression (RFC 1952) with zlib; the only user of zlib. Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

namespace perjoule::http {

// `level` is 1 (fastest) to 9 (smallest). Throws std::bad_alloc without memory; has no other failure.
[[nodiscard]] std::string gzip(std::string_view text, int level = 1);

// True when an Accept-Encoding header allows gzip (RFC 9110 12.5.3): q=0 forbids it, "*" allows it, "" does not.
[[nodiscard]] bool accepts_gzip(std::string_view accept_encoding);

}  // namespace perjoule::http
