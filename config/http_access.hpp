// How an HTTP server is reached: credentials, TLS, proxy, further headers. The part that receivers share with every
// other server that the daemon asks. Secrets are in files, which daemon/http/client.hpp reads; only `headers` has
// values, and these are shown as "***" everywhere. Values only; any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/json_cursor.hpp"

namespace perjoule::config {

struct BasicAuth {
  std::string username;
  std::string password_file;
  friend bool operator==(const BasicAuth&, const BasicAuth&) = default;
};

struct Authorization {
  std::string type = "Bearer";
  std::string credentials_file;
  friend bool operator==(const Authorization&, const Authorization&) = default;
};

// Files in PEM. An empty name: what the host trusts, no client certificate, the host of the URL.
struct ClientTls {
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  std::string server_name;
  friend bool operator==(const ClientTls&, const ClientTls&) = default;
};

struct HttpAccess {
  std::optional<BasicAuth> basic_auth;  // at most one of these two
  std::optional<Authorization> authorization;
  ClientTls tls;
  std::string proxy;  // http://HOST:PORT; empty: none
  std::map<std::string, std::string> headers;
  friend bool operator==(const HttpAccess&, const HttpAccess&) = default;
};

inline constexpr std::size_t headers_max = 32;

// The keys that read_http_access() reads, for expect_members() of an object that has more.
[[nodiscard]] const std::vector<std::string_view>& http_access_keys();

// The URL of the member "url" of `owner`, or of a string. Refuses it, and returns nothing, if it is no http or https
// URL. Messages repeat no part that may be secret.
[[nodiscard]] std::optional<std::string> read_url(const JsonCursor& at);
// From the members of the object `owner`, whose URL is `url`. Refuses what is wrong.
[[nodiscard]] HttpAccess read_http_access(const JsonCursor& owner, std::string_view url);

// The members as properties of a JSON Schema, without braces.
[[nodiscard]] std::string http_access_schema();

}  // namespace perjoule::config
