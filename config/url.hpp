// Splits an http or https URL into its parts (RFC 3986). Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "config/quantity_text.hpp"

namespace perjoule::config {

struct Url {
  bool tls = false;
  std::string host;    // without the brackets of an IPv6 address
  std::string port;    // digits; "80" or "443" when the URL has none
  std::string target;  // path and query as given, at least "/"

  [[nodiscard]] std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
  // For the Host field and for messages: "host", "[::1]:9093". Without the path, which may contain a secret.
  [[nodiscard]] std::string authority() const;
};

inline constexpr std::size_t url_bytes_max = 2048;

// A complaint with the reason and mostly a remedy, when `text` is not such a URL: another scheme, a user or password,
// no host, a port out of range, a character that must be escaped, too long. A fragment is dropped. Messages do not
// repeat any part of `text`, because it may contain a secret.
[[nodiscard]] Checked<Url> parse_url(std::string_view text);

}  // namespace perjoule::config
