#include "config/url.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace perjoule::config {

namespace {

Complaint broken(std::string what, std::string remedy = {}) {
  return {std::move(what), std::move(remedy)};
}

bool is_host_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

bool is_address_byte(char c) {
  return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == '.' || c == ':';
}

bool is_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

// Host and port of "host", "host:1", "[::1]", "[::1]:1".
Checked<void> take_authority(std::string_view authority, Url& url) {
  const bool bracketed = authority.starts_with('[');
  const std::size_t close = bracketed ? authority.find(']') : 0;
  if (close == std::string_view::npos) return broken("the IPv6 address has no closing bracket");
  const std::size_t colon = authority.find(':', close);
  const std::string_view host = authority.substr(0, colon);
  if (colon != std::string_view::npos) {
    url.port = authority.substr(colon + 1);
    if (!is_port(url.port)) return broken("the port is not a number from 1 to 65535");
  }
  url.host = bracketed ? host.substr(1, host.size() - 2) : host;
  const bool valid = bracketed ? host.ends_with(']') && std::all_of(url.host.begin(), url.host.end(), is_address_byte)
                               : std::all_of(url.host.begin(), url.host.end(), is_host_byte);
  if (url.host.empty() || url.host.size() > 253 || !valid)
    return broken("host name is missing, too long or contains an invalid character");
  return {};
}

}  // namespace

std::string Url::authority() const {
  std::string text = host.find(':') == std::string::npos ? host : '[' + host + ']';
  if (port != (tls ? "443" : "80")) text += ':' + port;
  return text;
}

Checked<Url> parse_url(std::string_view text) {
  constexpr std::string_view remedy = "write http://HOST:PORT/PATH or https://HOST:PORT/PATH";
  Url url;
  url.tls = text.starts_with("https://");
  if (!url.tls && !text.starts_with("http://"))
    return broken("the URL does not start with http:// or https://", std::string(remedy));
  if (text.size() > url_bytes_max) return broken(fmt::format("the URL is longer than {} bytes", url_bytes_max));
  text.remove_prefix(url.tls ? 8 : 7);
  url.port = url.tls ? "443" : "80";
  const std::size_t path = std::min(text.find_first_of("/?#"), text.size());
  const std::string_view authority = text.substr(0, path);
  if (authority.find('@') != std::string_view::npos)
    return broken("the URL contains a user or password",
                  "remove it, and name a password or token file: basic_auth or authorization beside \"url\"");
  if (const Checked<void> taken = take_authority(authority, url); !taken)
    return broken(taken.error().what, std::string(remedy));
  text.remove_prefix(path);
  text = text.substr(0, text.find('#'));
  const auto plain = [](char c) { return c > ' ' && c < '\x7F'; };
  if (!std::all_of(text.begin(), text.end(), plain))
    return broken("the path contains a space, a control character or a non-ASCII character", "escape it as %XX");
  url.target = text.starts_with('/') ? std::string(text) : '/' + std::string(text);
  return url;
}

}  // namespace perjoule::config
