#include "daemon/http/host.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>

#include "config/text.hpp"

namespace perjoule::http {
namespace {

constexpr std::size_t name_bytes = 253;  // of a host name, RFC 1035 2.3.4
constexpr std::size_t label_bytes = 63;
constexpr std::uint16_t http_port = 80;

bool is_label(std::string_view label) {
  // With the underscore, which names of containers have.
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; };
  return !label.empty() && label.size() <= label_bytes && std::all_of(label.begin(), label.end(), allowed);
}

bool is_name(std::string_view name) {
  if (name.size() > name_bytes) return false;
  for (;;) {
    const std::size_t dot = name.find('.');
    if (!is_label(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

bool is_ipv6(const std::string& name) {
  std::array<unsigned char, 16> address{};
  return inet_pton(AF_INET6, name.c_str(), address.data()) == 1;
}

// `text` is what follows the name: "" or ":PORT", where the port may be empty (RFC 3986 3.2.3).
std::optional<std::uint16_t> read_port(std::string_view text) {
  if (text.empty() || text == ":") return http_port;
  if (text.front() != ':') return std::nullopt;
  text.remove_prefix(1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

}  // namespace

std::optional<Host> parse_host(std::string_view text) {
  if (text.empty()) return Host{"", false, http_port};
  const bool bracketed = text.front() == '[';
  const std::size_t end = bracketed ? text.find(']') : text.find(':');
  if (bracketed && end == std::string_view::npos) return std::nullopt;
  const auto port = read_port(end == std::string_view::npos ? "" : text.substr(end + (bracketed ? 1 : 0)));
  if (!port) return std::nullopt;
  Host host{text::lower(text.substr(bracketed ? 1 : 0, end - (bracketed ? 1 : 0))), bracketed, *port};
  if (bracketed) return is_ipv6(host.name) ? std::optional(std::move(host)) : std::nullopt;
  if (host.name.ends_with('.')) host.name.pop_back();
  if (!is_name(host.name)) return std::nullopt;
  // No top-level domain is a number, so a name of digits and dots is an IPv4 address, or "127.1", its short form.
  host.address = host.name.find_first_not_of("0123456789.") == std::string::npos;
  return host;
}

}  // namespace perjoule::http
