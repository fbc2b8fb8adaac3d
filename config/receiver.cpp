#include "config/receiver.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "config/text.hpp"
#include "config/url.hpp"

namespace perjoule::config {

using json::Type;

namespace {

constexpr std::size_t receivers_max = 256;
constexpr std::size_t name_max = 64;

bool is_name(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const char small = text::lower(c);
    return (small >= 'a' && small <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
  });
}

std::string read_name(const JsonCursor& owner, const std::vector<Receiver>& before) {
  const auto at = owner.find("name");
  if (!at) return {};
  std::string name = at->text(name_max).value_or("");
  const auto same = [&](const Receiver& other) { return !name.empty() && other.name == name; };
  if (!is_name(name)) {
    at->refuse(fmt::format("{} is not a name", text::quoted_short(name)), "use letters, digits, ., - and _");
  } else if (std::any_of(before.begin(), before.end(), same)) {
    at->refuse(fmt::format("duplicate name {}", name), "each receiver needs a name of its own");
  }
  return name;
}

Receiver read_object(const JsonCursor& cursor, const std::vector<Receiver>& before) {
  std::vector<std::string_view> keys = {"url", "name"};
  keys.insert(keys.end(), http_access_keys().begin(), http_access_keys().end());
  cursor.expect_members(keys);
  Receiver receiver;
  const auto url = cursor.find("url");
  if (!url) cursor.refuse("missing \"url\"");
  if (url) receiver.url = read_url(*url).value_or("");
  receiver.name = read_name(cursor, before);
  const auto same = [&](const Receiver& other) { return other.name.empty() && other.url == receiver.url; };
  if (!receiver.url.empty() && receiver.name.empty() && std::any_of(before.begin(), before.end(), same))
    url->refuse("an earlier receiver has the same URL", "receivers of one URL need a \"name\" each");
  receiver.access = read_http_access(cursor, receiver.url);
  return receiver;
}

}  // namespace

std::vector<Receiver> read_receivers(const json::Value& list, std::string_view path,
                                     std::vector<json::Problem>& problems) {
  std::vector<Receiver> receivers;
  const JsonCursor cursor(list, std::string(path), problems);
  if (cursor.is(Type::text)) cursor.refuse("expected an array, got a string", "put it into brackets: [ .. ]");
  if (cursor.is(Type::null) || cursor.is(Type::text) || !cursor.expect(Type::array)) return receivers;
  if (list.items.size() > receivers_max) cursor.refuse(fmt::format("more than {} receivers", receivers_max));
  for (const JsonCursor& item : cursor.items()) {
    if (receivers.size() == receivers_max) break;
    if (item.is(Type::object)) {
      receivers.push_back(read_object(item, receivers));
    } else if (item.is(Type::text)) {
      receivers.push_back({read_url(item).value_or(""), {}, {}});
    } else {
      item.refuse("expected a URL or an object", "write \"http://HOST:PORT/PATH\" or { \"url\": .. }");
    }
  }
  return receivers;
}

std::vector<Receiver> receivers_from(std::string_view json) {
  const json::Document document = json::read(json);
  std::vector<json::Problem> ignored;
  return document.root ? read_receivers(*document.root, "", ignored) : std::vector<Receiver>();
}

std::string receiver_schema() {
  constexpr std::string_view url = R"x("type": "string", "pattern": "^https?://[^@/?#]+([/?#]|$)")x";
  return fmt::format(
      R"("anyOf": [ {{ {0} }}, {{ "type": "object", "additionalProperties": false, "required": ["url"], )"
      R"("patternProperties": {{ "^(//|x-.*)$": {{}} }}, "properties": {{ "url": {{ {0} }}, )"
      R"("name": {{ "type": "string", "pattern": "^[A-Za-z0-9._-]+$", "maxLength": {1}, )"
      R"("description": "The label receiver in metrics and logs; default: host and port." }}, {2} }} }} ])",
      url, name_max, http_access_schema());
}

}  // namespace perjoule::config
