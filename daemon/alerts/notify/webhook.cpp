#include "daemon/alerts/notify/webhook.hpp"

#include "config/json_writer.hpp"
#include "config/text.hpp"

namespace perjoule::alerts {

namespace {

constexpr std::string_view receiver = "perjouled";
constexpr std::string_view no_end = "0001-01-01T00:00:00Z";  // Go's zero time, as Alertmanager writes

// Alertmanager's groupKey: the key of the root route, then the group's labels: {}:{a="b", c="d"}.
std::string group_key(const Labels& labels) {
  std::string key = "{}:{";
  for (const auto& [name, value] : labels) {
    if (key.back() != '{') key += ", ";
    key += name;
    key += '=';
    text::append_quoted(key, value);
  }
  return key + '}';
}

void append_alert(std::string& out, const Notice& notice, std::string_view status, std::string_view daemon_url) {
  JsonWriter json(out);
  json.begin_object().member("status", status);
  append_identity(out, notice);
  json.member("startsAt", text::rfc3339(notice.starts_ms));
  json.member("endsAt", notice.resolved ? text::rfc3339(notice.ends_ms) : std::string(no_end));
  json.member("generatorURL", daemon_url).member("fingerprint", fingerprint(notice.labels)).end_object();
}

}  // namespace

std::string webhook_body(const Notice& notice, std::string_view daemon_url) {
  const std::string_view status = notice.resolved ? "resolved" : "firing";
  std::string out;
  JsonWriter json(out);
  json.begin_object().member("receiver", receiver).member("status", status).key("alerts").begin_array();
  append_alert(out, notice, status, daemon_url);
  json.end_array().key("groupLabels");
  append_json(out, notice.labels);
  json.key("commonLabels");
  append_json(out, notice.labels);
  json.key("commonAnnotations");
  append_json(out, notice.annotations);
  json.member("externalURL", daemon_url).member("version", "4").member("groupKey", group_key(notice.labels));
  json.key("truncatedAlerts").integer(0).end_object();
  return out;
}

}  // namespace perjoule::alerts
