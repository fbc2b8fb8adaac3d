#include "config/secrets.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include "config/json_reader.hpp"
#include "config/text.hpp"

namespace perjoule::config {
namespace {

// A name with one of these words in it belongs to a secret, unless it ends in "_file".
constexpr std::array<std::string_view, 8> secret_words = {"password",   "passwd",  "secret",        "token",
                                                          "credential", "api_key", "authorization", "headers"};
constexpr std::string_view hidden = "***";

bool has_secret_word(std::string_view name) {
  const std::string small = text::lower(name);
  return !small.ends_with("_file") &&
         std::any_of(secret_words.begin(), secret_words.end(),
                     [&small](std::string_view word) { return small.find(word) != std::string::npos; });
}

bool is_secret_name(std::string_view name, std::span<const std::string_view> names) {
  return has_secret_word(name) || std::any_of(names.begin(), names.end(), [name](std::string_view secret) {
           return text::equal_ignoring_case(name, secret);
         });
}

// The members of "authorization" have names that say what is secret; those of "headers" have any name.
bool hides_members(std::string_view name) {
  return has_secret_word(name) && !text::equal_ignoring_case(name, "authorization");
}

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
// An escape could hide the '@', so that all of such a URL is secret.
std::array<Span, 2> secrets_of(std::string_view text, const UrlPlace& url) {
  for (std::size_t at = url.authority.begin; at < url.end; ++at) {
    if (text[at] == '\\' && (at + 1 == url.end || text[at + 1] != '/'))
      return {Span{url.authority.begin, url.authority.begin}, Span{url.authority.begin, url.end}};
  }
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

// Goes through text as through JSON, without asking it to be valid, and stars the strings and words of secret members.
class SecretMembers {
 public:
  // `out` has the text of `text`. Nested in a comment there are no comments.
  SecretMembers(std::string_view text, std::string& out, std::span<const std::string_view> names, bool comments = true)
      : text_(text), out_(out), names_(names), comments_(comments) {}

  void mask(std::size_t begin, std::size_t end) {
    end_ = end;
    for (std::size_t at = begin; at < end_;)
      at = step(at);
  }

 private:
  // Returns where to go on.
  std::size_t step(std::size_t at) {
    const char c = text_[at];
    if (comments_ && c == '/' && at + 1 < end_ && (text_[at + 1] == '/' || text_[at + 1] == '*')) return comment(at);
    if (c == '"' || (c == '\'' && comments_)) {
      const std::size_t end = end_of_string(at + 1, c);
      token(at + 1, end, std::min(end + 1, end_));
      return std::min(end + 1, end_);
    }
    if (is_word(c)) {
      std::size_t end = at;
      while (end < end_ && is_word(text_[end]))
        ++end;
      token(at, end, end);
      return end;
    }
    if (c == '{' || c == '[') open(c == '[');
    if ((c == '}' || c == ']') && !levels_.empty()) levels_.pop_back();
    if (std::string_view("{[}],").find(c) != std::string_view::npos) key_ = {};
    return at + 1;
  }

  // The members of an object are judged by their own names, the items of a list by that of the list.
  void open(bool list) {
    const Level around = levels_.empty() ? Level() : levels_.back();
    const bool all = around.all || hides_members(key_);
    const bool items = all || (list && (is_secret_name(key_, names_) || (key_.empty() && around.items)));
    levels_.push_back({all, items});
  }

  // A comment may hold a member that was taken out of use.
  std::size_t comment(std::size_t at) {
    const std::string_view close = text_[at + 1] == '/' ? "\n" : "*/";
    const std::size_t end = std::min(text_.find(close, at + 2), end_);
    SecretMembers(text_, out_, names_, false).mask(at + 2, end);
    return end;
  }

  // A key or a value; `after`: behind its closing quote.
  void token(std::size_t begin, std::size_t end, std::size_t after) {
    const std::size_t next = text_.find_first_not_of(" \t\r\n", after);
    if (next < end_ && (text_[next] == ':' || text_[next] == '=')) {
      key_ = text_.substr(begin, end - begin);
    } else if ((!levels_.empty() && levels_.back().items) || is_secret_name(key_, names_)) {
      star(out_, {begin, end});
    }
  }

  [[nodiscard]] std::size_t end_of_string(std::size_t from, char quote) const {
    for (; from < end_ && text_[from] != quote && text_[from] != '\n'; ++from) {
      if (text_[from] == '\\' && from + 1 < end_ && text_[from + 1] != '\n') ++from;
    }
    return std::min(from, end_);
  }

  static bool is_word(char c) {
    return static_cast<unsigned char>(c) > ' ' && std::string_view("{}[],:=\"'/").find(c) == std::string_view::npos;
  }

  struct Level {
    bool all = false;    // whatever stands in it is secret
    bool items = false;  // so are its direct items
  };

  std::string_view text_;
  std::string& out_;
  std::span<const std::string_view> names_;
  bool comments_;
  std::size_t end_ = 0;
  std::string_view key_;       // of the value that comes next
  std::vector<Level> levels_;  // open objects and lists
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

// `secret`: the value's own name, or that of the list around it, is one of a secret. `all`: so is whatever is in it.
void mask_value(json::Value& value, bool secret, bool all) {
  if (value.type == json::Type::text) {
    const bool url = !all && find_url(value.text, 0);
    value.text = url || !secret ? without_url_secrets(value.text) : std::string(hidden);
  } else if (all && value.type != json::Type::object && value.type != json::Type::array) {
    value.type = json::Type::text;
    value.text = hidden;
  }
  constexpr std::array<std::string_view, 2> names = {"url", "proxy"};
  for (json::Value& item : value.items) {
    if (value.type == json::Type::object) {
      mask_value(item, all || is_secret_name(item.key, names), all || hides_members(item.key));
    } else {
      mask_value(item, secret, all);
    }
  }
}

}  // namespace

std::vector<std::string_view> secret_names(std::span<const Key> keys) {
  std::vector<std::string_view> names = {"url", "proxy"};  // of a receiver, which may be written without its scheme
  for (const Key& key : keys) {
    if (key.secret) names.push_back(std::string_view(key.path).substr(key.path.rfind('.') + 1));
  }
  return names;
}

std::string mask_secrets(std::string_view text, std::span<const std::string_view> names) {
  std::string out(text);
  SecretMembers(text, out, names).mask(0, text.size());
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
  json::Value root = *document.root;
  mask_value(root, true, false);
  return json::write(root);
}

std::string mask_urls(std::string_view text) {
  return without_url_secrets(text);
}

}  // namespace perjoule::config
