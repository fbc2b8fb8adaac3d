#include "config/secrets.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include "config/json_reader.hpp"
#include "config/text.hpp"

namespace perjoule::config {
namespace {

constexpr std::array<std::string_view, 8> always_secret = {"password", "credentials", "token",  "secret",
                                                           "api_key",  "headers",     "bearer", "bearer_token"};
constexpr std::string_view hidden = "***";

struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
};

struct UrlPlace {
  Span authority;       // with the user name
  std::size_t end = 0;  // of the URL: a quote or white space
};

// The next URL at or after `from`. JSON may write its slashes as "\/".
std::optional<UrlPlace> find_url(std::string_view text, std::size_t from) {
  const std::size_t plain = text.find("://", from);
  const std::size_t escaped = text.find(":\\/\\/", from);
  if (plain == std::string_view::npos && escaped == std::string_view::npos) return std::nullopt;
  UrlPlace url;
  url.authority.begin = plain < escaped ? plain + 3 : escaped + 5;
  url.end = std::min(text.find_first_of("\" \t\r\n", url.authority.begin), text.size());
  url.authority.end = std::min(text.find_first_of("/\\?#", url.authority.begin), url.end);
  return url;
}

// What is secret of a URL: before the last '@' of its authority, and everything behind the authority but the slash.
std::array<Span, 2> secrets_of(std::string_view text, const UrlPlace& url) {
  const std::string_view authority = text.substr(url.authority.begin, url.authority.end - url.authority.begin);
  const std::size_t at = authority.rfind('@');
  const std::size_t host = url.authority.begin + (at == std::string_view::npos ? 0 : at);
  const std::size_t slash = text.substr(url.authority.end, url.end - url.authority.end).find_first_not_of("\\/");
  const std::size_t rest = slash == std::string_view::npos ? url.end : url.authority.end + slash;
  return {Span{url.authority.begin, host}, Span{rest, url.end}};
}

void star(std::string& text, Span span) {
  for (std::size_t i = span.begin; i < span.end; ++i)
    text[i] = '*';
}

// Where "http" or "https" begins before the "://" of `url`; the authority's begin for any other scheme.
std::size_t scheme_of(std::string_view text, const UrlPlace& url) {
  const std::string_view before = text.substr(0, text.rfind(':', url.authority.begin - 1));
  for (const std::string_view scheme : {"https", "http"}) {
    if (before.size() < scheme.size()) continue;
    if (text::equal_ignoring_case(before.substr(before.size() - scheme.size()), scheme))
      return before.size() - scheme.size();
  }
  return url.authority.begin;
}

// Goes through text as through JSON, without asking it to be valid, and says for each byte whether it belongs to the
// value of a member with a secret name.
class SecretMembers {
 public:
  explicit SecretMembers(std::span<const std::string_view> names) : names_(names) {}

  // Stars the strings and words of secret values in `out`, which has the size of `text`.
  void mask(std::string_view text, std::string& out) {
    for (std::size_t i = 0; i < text.size();) {
      if (text[i] == '"') {
        i = string(text, i, out);
      } else {
        character(text[i], i, out);
        ++i;
      }
    }
  }

 private:
  std::size_t string(std::string_view text, std::size_t begin, std::string& out) {
    std::size_t end = begin + 1;
    while (end < text.size() && text[end] != '"' && text[end] != '\n')
      end += text[end] == '\\' && end + 1 < text.size() && text[end + 1] != '\n' ? 2U : 1U;
    end = std::min(end, text.size());
    const std::size_t next = text.find_first_not_of(" \t\r\n", std::min(end + 1, text.size()));
    const bool is_key = end < text.size() && next != std::string_view::npos && text[next] == ':';
    const std::string_view content = text.substr(begin + 1, end - begin - 1);
    if (is_key && !secret_depth_ && is_secret(content)) {
      secret_depth_ = depth_;
    } else if (!is_key && secret_depth_) {
      star(out, {begin + 1, end});
    }
    return std::min(end + 1, text.size());
  }

  void character(char c, std::size_t at, std::string& out) {
    if (c == '[' || c == '{') ++depth_;
    if (c == ']' || c == '}') --depth_;
    const bool over = secret_depth_ && (depth_ < *secret_depth_ || (c == ',' && depth_ == *secret_depth_));
    if (over) secret_depth_.reset();
    const bool structure = std::string_view("[]{},: \t\r\n").find(c) != std::string_view::npos;
    if (secret_depth_ && !structure) out[at] = '*';
  }

  [[nodiscard]] bool is_secret(std::string_view name) const {
    return std::any_of(names_.begin(), names_.end(),
                       [name](std::string_view secret) { return text::equal_ignoring_case(name, secret); });
  }

  std::span<const std::string_view> names_;
  int depth_ = 0;
  std::optional<int> secret_depth_;  // depth of the member whose value is secret
};

// Replaces the secrets of all URLs by "***".
std::string without_url_secrets(std::string_view text) {
  std::string out;
  std::size_t copied = 0;
  while (const auto url = find_url(text, copied)) {
    for (const Span& span : secrets_of(text, *url)) {
      out += text.substr(copied, span.begin - copied);
      if (span.begin < span.end) out += hidden;
      copied = span.end;
    }
  }
  return out += text.substr(copied);
}

}  // namespace

std::vector<std::string_view> secret_names(std::span<const Key> keys) {
  std::vector<std::string_view> names(always_secret.begin(), always_secret.end());
  for (const Key& key : keys) {
    if (key.secret) names.push_back(std::string_view(key.path).substr(key.path.rfind('.') + 1));
  }
  return names;
}

std::string mask_secrets(std::string_view text, std::span<const std::string_view> names) {
  std::string out(text);
  SecretMembers(names).mask(text, out);
  // Of a URL that is a secret value, scheme and host come back; they say which line it is.
  for (std::size_t from = 0;;) {
    const auto url = find_url(text, from);
    if (!url) return out;
    const std::size_t begin = scheme_of(text, *url);
    out.replace(begin, url->end - begin, text.substr(begin, url->end - begin));
    for (const Span& span : secrets_of(text, *url))
      star(out, span);
    from = url->end;
  }
}

std::string mask_secret_value(std::string_view json) {
  const json::Document document = json::read(json);
  if (!document.root) return text::quoted(hidden);
  const auto mask = [](const auto& self, json::Value& value) -> void {
    if (value.type == json::Type::text) {
      value.text = find_url(value.text, 0) ? without_url_secrets(value.text) : std::string(hidden);
    }
    for (json::Value& item : value.items)
      self(self, item);
  };
  json::Value root = *document.root;
  mask(mask, root);
  return json::write(root);
}

std::string mask_urls(std::string_view text) {
  return without_url_secrets(text);
}

}  // namespace perjoule::config
