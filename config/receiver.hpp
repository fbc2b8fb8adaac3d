// Receivers of alerts: the items of `alerts.alertmanagers` and `alerts.webhooks`, each a URL or an object.
//
//   RECEIVER = "URL" | { url, name?, basic_auth? | authorization?, tls?, proxy?, headers? }    (http_access.hpp)
//
// Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/http_access.hpp"
#include "config/json_reader.hpp"

namespace perjoule::config {

struct Receiver {
  std::string url;
  std::string name;  // in metrics and logs; empty: host and port of the URL
  HttpAccess access;
  friend bool operator==(const Receiver&, const Receiver&) = default;
};

// `path` is that of the list, for the messages. The receivers are complete only if no problem was added.
[[nodiscard]] std::vector<Receiver> read_receivers(const json::Value& list, std::string_view path,
                                                   std::vector<json::Problem>& problems);
// From the JSON of a list that was read without a problem before.
[[nodiscard]] std::vector<Receiver> receivers_from(std::string_view json);

// The schema of one item, without braces.
[[nodiscard]] std::string receiver_schema();

}  // namespace perjoule::config
