// An http or https URL taken apart (RFC 3986). Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "collectors/result.hpp"

namespace perjoule::http {

struct Url {
  bool tls = false;
  std::string host;    // without the brackets of an IPv6 address
  std::string port;    // digits; "80" and "443" where none is given
  std::string target;  // path and query as they stand, at least "/"

  // As the Host field and messages name it, without the path, which may hold a secret: "host", "[::1]:9093".
  [[nodiscard]] std::string authority() const;
};

inline constexpr std::size_t url_bytes_max = 2048;

// Broken, with what is wrong and a remedy, where it is none: another scheme, user or password in it, no host, a port
// out of range, a character that has to be escaped. A fragment is dropped. No message repeats more than the host.
[[nodiscard]] Result<Url> parse_url(std::string_view text);

}  // namespace perjoule::http
