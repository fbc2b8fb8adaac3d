// Decodes a request target (RFC 9112 3.2) into a path and a query. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace perjoule::http {

using Query = std::vector<std::pair<std::string, std::string>>;

struct Target {
  // Decoded; begins with '/'; dot segments stay as they are. "%2F" stays too: a slash inside a segment separates none.
  std::string path;
  Query query;                           // decoded, in order, names may repeat
  std::string query_text;                // as it was received
  std::optional<std::string> authority;  // of the absolute form: "host:80"
};

inline constexpr std::size_t max_parameters = 256;
inline constexpr std::string_view target_rule =
    "invalid request target: expected a path from /, each % followed by two hexadecimal digits other than 00, and at "
    "most 256 parameters";

// Origin form ("/a?b=c") and absolute form ("http://host/a?b=c"). None when `text` breaks target_rule or holds a
// control character, a space or a fragment.
[[nodiscard]] std::optional<Target> decode_target(std::string_view text);

// `path` without empty segments and without "." and "..", as Go's servers clean it: "//a/./b/../c/" becomes "/a/c/".
[[nodiscard]] std::string clean_path(std::string_view path);

// Escapes `path` for a Location field: everything but letters, digits and "-._~/%".
[[nodiscard]] std::string escape_path(std::string_view path);

// "a=1&b=x+y%21&c": '+' is a space, a name without '=' has the value "", empty parts are skipped. Also the body of a
// form (application/x-www-form-urlencoded). None on an invalid escape, an escaped NUL, or more than max_parameters.
[[nodiscard]] std::optional<Query> decode_query(std::string_view text);

}  // namespace perjoule::http
