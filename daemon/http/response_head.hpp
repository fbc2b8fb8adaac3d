// Writes the status line and header fields of a response (RFC 9112). Pure functions; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/http/message.hpp"

namespace perjoule::http {

// The Connection field: none, HTTP/1.1 stays open (open); "keep-alive" for HTTP/1.0 (keep_alive); "close" (close).
enum class After { open, keep_alive, close };

// Ends with the empty line. None when the response would break the framing: a status outside 200 to 599, a control
// character in a value, a name that is not a token or that only the server may set (Content-Length, Connection, ..).
[[nodiscard]] std::optional<std::string> response_head(const Response& response, After after);

// A whole response by which the server itself refuses a request and closes: plain text with the status and the reason.
[[nodiscard]] std::string refusal(unsigned status, std::string_view why);

}  // namespace perjoule::http
