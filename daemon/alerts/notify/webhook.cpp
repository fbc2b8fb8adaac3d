#include "daemon/alerts/notify/webhook.hpp"

#include "daemon/base/log.hpp"

namespace perjoule::alerts {

namespace {

constexpr std::string_view receiver = "perjouled";
constexpr std::string_view no_end = "0001-01-01T00:00:00Z";  // Go's zero time: what Alertmanager says while it fires

// The key of the root route and the group's labels as Alertmanager prints them: {}:{a="b", c="d"}.
std::string group_key(const Labels& labels) {
  std::string key = "{}:{";
  for (const auto& [name, value] : labels) {
    if (key.back() != '{') key += ", ";
    key += name;
    key += '=';
    append_quoted(key, value);
  }
  return key + '}';
}

void append_alert(std::string& out, const Notice& notice, std::string_view status, std::string_view daemon_url) {
  out += '{';
  append_member(out, "status", status);
  out += ',';
  append_identity(out, notice);
  out += ',';
  append_member(out, "startsAt", rfc3339(notice.starts_ms));
  out += ',';
  append_member(out, "endsAt", notice.resolved ? rfc3339(notice.ends_ms) : no_end);
  out += ',';
  append_member(out, "generatorURL", daemon_url);
  out += ',';
  append_member(out, "fingerprint", fingerprint(notice.labels));
  out += '}';
}

}  // namespace

std::string webhook_body(const Notice& notice, std::string_view daemon_url) {
  const std::string_view status = notice.resolved ? "resolved" : "firing";
  std::string out = "{";
  append_member(out, "receiver", receiver);
  out += ',';
  append_member(out, "status", status);
  out += R"(,"alerts":[)";
  append_alert(out, notice, status, daemon_url);
  out += R"(],"groupLabels":)";
  append_object(out, notice.labels);
  out += R"(,"commonLabels":)";
  append_object(out, notice.labels);
  out += R"(,"commonAnnotations":)";
  append_object(out, notice.annotations);
  out += ',';
  append_member(out, "externalURL", daemon_url);
  out += R"(,"version":"4",)";
  append_member(out, "groupKey", group_key(notice.labels));
  out += R"(,"truncatedAlerts":0})";
  return out;
}

}  // namespace perjoule::alerts
