// The Host field of a request (RFC 9110 7.2), which is also the authority of an absolute target and of an Origin. Pure
// functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace perjoule::http {

struct Host {
  std::string name;         // in lower case, without brackets and without a final dot; "" when the field is empty
  bool address = false;     // `name` is an IPv4 or IPv6 address
  std::uint16_t port = 80;  // also when the text has none
};

// "localhost", "gpu-07.example:10190", "127.0.0.1:", "[::1]:10190", "". None for everything else: an empty or overlong
// label, a character that no host name has (so no user name and no escape), brackets without an IPv6 address between
// them, a port that is no number up to 65535.
[[nodiscard]] std::optional<Host> parse_host(std::string_view text);

}  // namespace perjoule::http
