#include "daemon/http/target.hpp"

#include <algorithm>

namespace perjoule::http {
namespace {

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// `plus` is what '+' decodes to: itself in a path, a space in a query.
std::optional<std::string> unescape(std::string_view text, char plus) {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i] == '+' ? plus : text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    int high = digit(text[i + 1]);
    int low = digit(text[i + 2]);
    if (high < 0 || low < 0 || high + low == 0) return std::nullopt;
    plain += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return plain;
}

// The part after the host of an absolute form, "/" if it is empty; "" when `text` is not an absolute form.
std::string_view after_authority(std::string_view text) {
  auto scheme = text.find("://");
  if (scheme == std::string_view::npos) return {};
  text.remove_prefix(scheme + 3);
  auto rest = text.find_first_of("/?");
  if (text.empty() || rest == 0) return {};
  return rest == std::string_view::npos ? "/" : text.substr(rest);
}

}  // namespace

std::optional<Query> decode_query(std::string_view text) {
  Query query;
  while (!text.empty()) {
    auto part = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    if (part.empty()) continue;
    if (query.size() == max_parameters) return std::nullopt;
    auto equals = part.find('=');
    auto name = unescape(part.substr(0, equals), ' ');
    auto value = unescape(equals == std::string_view::npos ? std::string_view{} : part.substr(equals + 1), ' ');
    if (!name || !value) return std::nullopt;
    query.emplace_back(std::move(*name), std::move(*value));
  }
  return query;
}

std::optional<Target> decode_target(std::string_view text) {
  auto forbidden = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f' || c == '#'; };
  if (std::any_of(text.begin(), text.end(), forbidden)) return std::nullopt;
  bool absolute = !text.starts_with('/');
  if (absolute) text = after_authority(text);
  auto question = text.find('?');
  // An absolute form may omit the path, which means "/" (RFC 9112 3.2.1).
  auto path = absolute && question == 0 ? "/" : unescape(text.substr(0, question), '+');
  auto query = decode_query(question == std::string_view::npos ? std::string_view{} : text.substr(question + 1));
  if (!path || !path->starts_with('/') || !query) return std::nullopt;
  return Target{std::move(*path), std::move(*query)};
}

}  // namespace perjoule::http
