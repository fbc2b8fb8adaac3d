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

// In a path '+' is itself and %2F stays; in a query '+' is a space.
enum class Part : bool { path, query };

std::optional<std::string> unescape(std::string_view text, Part part) {
  const char plus = part == Part::path ? '+' : ' ';
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
    const char byte = static_cast<char>(high * 16 + low);
    if (byte == '/' && part == Part::path) {
      plain += "%2F";
    } else {
      plain += byte;
    }
    i += 2;
  }
  return plain;
}

// The authority of an absolute form, which is removed from the front of `text`; the rest is "/" if it is empty. None
// when `text` is not an absolute form.
std::optional<std::string> take_authority(std::string_view& text) {
  auto scheme = text.find("://");
  if (scheme == std::string_view::npos) return std::nullopt;
  auto authority = text.substr(scheme + 3);
  auto rest = authority.find_first_of("/?");
  if (authority.empty() || rest == 0) return std::nullopt;
  text = rest == std::string_view::npos ? "/" : authority.substr(rest);
  return std::string(authority.substr(0, rest));
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
    auto name = unescape(part.substr(0, equals), Part::query);
    auto value = unescape(equals == std::string_view::npos ? std::string_view{} : part.substr(equals + 1), Part::query);
    if (!name || !value) return std::nullopt;
    query.emplace_back(std::move(*name), std::move(*value));
  }
  return query;
}

std::optional<Target> decode_target(std::string_view text) {
  auto forbidden = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f' || c == '#'; };
  if (std::any_of(text.begin(), text.end(), forbidden)) return std::nullopt;
  std::optional<std::string> authority;
  if (!text.starts_with('/')) {
    authority = take_authority(text);
    if (!authority) return std::nullopt;
  }
  auto question = text.find('?');
  // An absolute form may omit the path, which means "/" (RFC 9112 3.2.1).
  auto path = authority && question == 0 ? "/" : unescape(text.substr(0, question), Part::path);
  auto query_text = question == std::string_view::npos ? std::string_view{} : text.substr(question + 1);
  auto query = decode_query(query_text);
  if (!path || !path->starts_with('/') || !query) return std::nullopt;
  return Target{std::move(*path), std::move(*query), std::string(query_text), std::move(authority)};
}

std::string clean_path(std::string_view path) {
  std::vector<std::string_view> kept;
  for (std::string_view rest = path; !rest.empty();) {
    const std::string_view segment = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), segment.size() + 1));
    if (segment.empty() || segment == ".") continue;
    if (segment != "..") {
      kept.push_back(segment);
    } else if (!kept.empty()) {
      kept.pop_back();
    }
  }
  std::string out;
  for (const std::string_view segment : kept)
    (out += '/') += segment;
  if (out.empty() || path.ends_with('/')) out += '/';
  return out;
}

std::string escape_path(std::string_view path) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  std::string out;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/%").find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      (out += '%') += {hex[byte / 16], hex[byte % 16]};
    }
  }
  return out;
}

}  // namespace perjoule::http
