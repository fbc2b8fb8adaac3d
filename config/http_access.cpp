#include "config/http_access.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "config/text.hpp"
#include "config/url.hpp"

namespace perjoule::config {

using json::Type;

namespace {

constexpr std::size_t path_max = 4095;  // PATH_MAX without its NUL
constexpr std::size_t name_max = 255;
constexpr std::size_t header_max = 4096;

constexpr std::array<std::string_view, 2> basic_keys = {"username", "password_file"};
constexpr std::array<std::string_view, 2> authorization_keys = {"type", "credentials_file"};
constexpr std::array<std::string_view, 4> tls_keys = {"ca_file", "cert_file", "key_file", "server_name"};
// In lower case. The daemon sets them itself, or another key does.
constexpr std::array<std::string_view, 14> reserved_headers = {
    "accept-encoding", "connection", "content-encoding",    "content-length",   "content-type",      "host",
    "keep-alive",      "te",         "proxy-authorization", "proxy-connection", "transfer-encoding", "trailer",
    "upgrade",         "user-agent"};

// RFC 9110 5.6.2
bool is_token(std::string_view text) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [marks](char c) {
    const char small = text::lower(c);
    return (small >= 'a' && small <= 'z') || (c >= '0' && c <= '9') || marks.find(c) != std::string_view::npos;
  });
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != 0x7F; });
}

// The secret itself where the name of a file belongs is the mistake that must not be answered with a guess.
void refuse_inline(const JsonCursor& owner, std::string_view inline_key, std::string_view file_key) {
  if (const auto found = owner.find(inline_key)) {
    found->refuse_key("secrets are not written into the configuration",
                      fmt::format("put it into a file and name that file: \"{}\"", file_key));
  }
}

// Like JsonCursor::expect_members(), for an object with a key that refuse_inline() has refused.
void expect_keys(const JsonCursor& owner, std::span<const std::string_view> known, std::string_view refused) {
  std::vector<std::string_view> all(known.begin(), known.end());
  if (owner.find(refused)) all.push_back(refused);
  owner.expect_members(all);
}

std::string read_path(const JsonCursor& owner, std::string_view key) {
  const auto at = owner.find(key);
  if (!at) return {};
  std::string path = at->text(path_max).value_or("");
  if (!path.empty() && !path.starts_with('/')) {
    at->refuse("not the whole path of a file", "write it from the root: /etc/perjoule/FILE");
    return {};
  }
  return path;
}

std::optional<BasicAuth> read_basic(const JsonCursor& owner) {
  const auto at = owner.find("basic_auth");
  if (!at || !at->expect(Type::object)) return std::nullopt;
  refuse_inline(*at, "password", "password_file");
  expect_keys(*at, basic_keys, "password");
  BasicAuth read;
  const auto name = at->find("username");
  if (!name) at->refuse("missing \"username\"");
  if (name) read.username = name->text(name_max).value_or("");
  if (read.username.find(':') != std::string::npos || !is_printable(read.username))
    name->refuse("a user name has neither a colon nor a control character", "RFC 7617 gives the colon to the password");
  if (!at->find("password_file") && !at->find("password")) at->refuse("missing \"password_file\"");
  read.password_file = read_path(*at, "password_file");
  return read;
}

std::optional<Authorization> read_authorization(const JsonCursor& owner) {
  const auto at = owner.find("authorization");
  if (!at || !at->expect(Type::object)) return std::nullopt;
  refuse_inline(*at, "credentials", "credentials_file");
  expect_keys(*at, authorization_keys, "credentials");
  Authorization read;
  if (const auto type = at->find("type")) {
    read.type = type->text(name_max).value_or(read.type);
    if (!is_token(read.type)) type->refuse("not an authentication scheme", "the default is Bearer");
    if (text::equal_ignoring_case(read.type, "basic"))
      type->refuse("Basic needs a user name", "use \"basic_auth\": { \"username\": .., \"password_file\": .. }");
  }
  if (!at->find("credentials_file") && !at->find("credentials")) at->refuse("missing \"credentials_file\"");
  read.credentials_file = read_path(*at, "credentials_file");
  return read;
}

ClientTls read_tls(const JsonCursor& owner, std::string_view url) {
  const auto at = owner.find("tls");
  if (!at || !at->expect(Type::object)) return {};
  at->expect_members(tls_keys);
  if (url.starts_with("http://"))
    at->refuse_key("has no effect, because the URL is http", "write https:// in \"url\", or remove tls");
  ClientTls read{read_path(*at, "ca_file"), read_path(*at, "cert_file"), read_path(*at, "key_file"), {}};
  const bool cert = at->find("cert_file").has_value();
  if (cert != at->find("key_file").has_value())
    at->refuse(fmt::format("missing \"{}\"", cert ? "key_file" : "cert_file"),
               "a client certificate needs both; they may be one file");
  if (const auto name = at->find("server_name")) {
    read.server_name = name->text(name_max).value_or("");
    const auto url_of_name = parse_url("https://" + read.server_name);
    if (!read.server_name.empty() && (!url_of_name || url_of_name->host != read.server_name))
      name->refuse(fmt::format("{} is not a host name", text::quoted_short(read.server_name)),
                   "write the name in the server's certificate, without a port");
  }
  return read;
}

std::string read_proxy(const JsonCursor& owner) {
  const auto at = owner.find("proxy");
  if (!at) return {};
  const auto proxy = read_url(*at);
  if (!proxy) return {};
  const auto parsed = parse_url(*proxy);
  if (parsed->tls) {
    at->refuse("a proxy is reached over http; https through it is encrypted to the server", "write http://HOST:PORT");
  } else if (parsed->target != "/") {
    at->refuse("the URL of a proxy has no path", "write http://HOST:PORT");
  }
  return *proxy;
}

void read_header(const JsonCursor& at, std::map<std::string, std::string>& headers) {
  const std::string name = text::lower(at.key());
  const auto same = [&](const auto& header) { return text::lower(header.first) == name; };
  if (!is_token(at.key())) return at.refuse_key("not the name of a header", "such as X-Scope-OrgID");
  if (name == "authorization")
    return at.refuse_key("is set by other keys", "use \"basic_auth\" or \"authorization\", which name files");
  if (std::find(reserved_headers.begin(), reserved_headers.end(), name) != reserved_headers.end())
    return at.refuse_key("is reserved: the daemon sets this header itself", "remove it");
  if (std::any_of(headers.begin(), headers.end(), same)) return at.refuse_key("duplicate header");
  const auto value = at.text(header_max);
  if (!value) return;
  if (!is_printable(*value)) return at.refuse("contains a control character");
  if (headers.size() == headers_max) return at.refuse_key(fmt::format("more than {} headers", headers_max));
  headers.emplace(at.key(), *value);
}

}  // namespace

const std::vector<std::string_view>& http_access_keys() {
  static const std::vector<std::string_view> keys = {"basic_auth", "authorization", "tls", "proxy", "headers"};
  return keys;
}

std::optional<std::string> read_url(const JsonCursor& at) {
  auto text = at.text(url_bytes_max);
  if (!text) return std::nullopt;
  const Checked<Url> parsed = parse_url(*text);
  if (parsed) return text;
  at.refuse(parsed.error().what, parsed.error().help);  // they repeat nothing of the text
  return std::nullopt;
}

HttpAccess read_http_access(const JsonCursor& owner, std::string_view url) {
  HttpAccess read;
  read.basic_auth = read_basic(owner);
  read.authorization = read_authorization(owner);
  if (const auto second = owner.find("authorization"); second && owner.find("basic_auth"))
    second->refuse_key("conflicts with basic_auth", "use one of the two: both set the header Authorization");
  read.tls = read_tls(owner, url);
  read.proxy = read_proxy(owner);
  if (const auto headers = owner.find("headers"); headers && headers->expect(Type::object)) {
    for (const JsonCursor& header : headers->items())
      read_header(header, read.headers);
  }
  return read;
}

std::string http_access_schema() {
  constexpr std::string_view file = R"({ "type": "string", "pattern": "^/" })";
  constexpr std::string_view object =
      R"("type": "object", "additionalProperties": false, "patternProperties": { "^(//|x-.*)$": {} })";
  return fmt::format(
      R"("basic_auth": {{ {0}, "required": ["username", "password_file"], )"
      R"("description": "User name, and the file with the password.", "properties": {{ )"
      R"("username": {{ "type": "string", "pattern": "^[^:]+$" }}, "password_file": {1} }} }}, )"
      R"("authorization": {{ {0}, "required": ["credentials_file"], )"
      R"("description": "The header Authorization: its scheme, and the file with the token.", "properties": {{ )"
      R"("type": {{ "type": "string", "default": "Bearer" }}, "credentials_file": {1} }} }}, )"
      R"("tls": {{ {0}, "dependencies": {{ "cert_file": ["key_file"], "key_file": ["cert_file"] }}, )"
      R"("description": "Files in PEM: authorities trusted instead of the host's; a client certificate.", )"
      R"("properties": {{ "ca_file": {1}, "cert_file": {1}, "key_file": {1}, )"
      R"("server_name": {{ "type": "string", "minLength": 1, )"
      R"("description": "The name in the server's certificate; default: the host of the URL." }} }} }}, )"
      R"("proxy": {{ "type": "string", "pattern": "^http://", )"
      R"("description": "http://HOST:PORT of an HTTP proxy; https goes through it by CONNECT." }}, )"
      R"("headers": {{ "type": "object", "additionalProperties": {{ "type": "string", "minLength": 1 }}, )"
      R"("maxProperties": {2}, "description": "Further headers. Their values are shown as ***." }})",
      object, file, headers_max);
}

}  // namespace perjoule::config
