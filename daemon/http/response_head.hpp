// What stands before a body: status line and header fields (RFC 9112). Pure functions; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/http/message.hpp"

namespace perjoule::http {

// After the answer: nothing to say in HTTP/1.1 (open), the word that HTTP/1.0 needs (keep_alive), or the end (close).
enum class After { open, keep_alive, close };

// Ends in the empty line. None when the response would break the framing: a status outside 200 to 599, a control
// character in a value, a name that is no token or that is the server's to write (Content-Length, Connection, ..).
[[nodiscard]] std::optional<std::string> response_head(const Response& response, After after);

// A whole answer in which the server itself says no and closes: plain text that names the status and the reason.
[[nodiscard]] std::string refusal(unsigned status, std::string_view why);

}  // namespace perjoule::http
