#include "daemon/alerts/evaluate/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "config/json_writer.hpp"
#include "config/text.hpp"
#include "daemon/alerts/rules/promql.hpp"

namespace perjoule::alerts {

namespace {

constexpr std::string_view never = "0001-01-01T00:00:00Z";  // Go's zero time

using ActiveAlerts = std::span<const Active>;

bool is_firing(const Active& active) {
  return active.alert.phase == Phase::firing;
}

void append_alert(std::string& out, const Active& active, const Links& links) {
  JsonWriter json(out);
  json.begin_object();
  append_identity(out, make_notice(active.alert, {}, links, false));
  json.member("state", is_firing(active) ? "firing" : "pending").member("activeAt", text::rfc3339(active.since_ms));
  if (active.cleared_ms > 0) json.member("keepFiringSince", text::rfc3339(active.cleared_ms));
  json.member("value", text::scientific(active.alert.value)).end_object();
}

void append_alerts(std::string& out, ActiveAlerts alerts, const Links& links) {
  JsonWriter json(out);
  json.begin_array();
  for (const Active& active : alerts)
    append_alert(out, active, links);
  json.end_array();
}

// Removes the alerts of a level from the front of `active` and returns them.
ActiveAlerts split_front(ActiveAlerts& active, const Rule& rule, const Level& level) {
  const auto other = std::find_if(active.begin(), active.end(), [&](const Active& each) {
    return each.alert.name != rule.name || each.alert.severity != level.severity;
  });
  const auto of_level = active.first(static_cast<std::size_t>(other - active.begin()));
  active = active.subspan(of_level.size());
  return of_level;
}

std::string evaluated_at(const Report& report) {
  return report.evaluated_ms > 0 ? text::rfc3339(report.evaluated_ms) : std::string(never);
}

void append_rule(std::string& out, const Rule& rule, const Level& level, ActiveAlerts alerts, const Report& report,
                 const Links& links) {
  const bool fires = std::any_of(alerts.begin(), alerts.end(), is_firing);
  JsonWriter json(out);
  json.begin_object().member("state", fires ? "firing" : alerts.empty() ? "inactive" : "pending");
  json.member("name", rule.name).member("query", promql(rule, level));
  json.key("duration").number(static_cast<double>(level.for_ms) / 1e3);
  json.key("keepFiringFor").number(static_cast<double>(level.clear_for_ms) / 1e3).key("labels");
  append_json(out, {{"severity", level.severity}});
  json.key("annotations");
  append_json(out, template_annotations(rule));
  json.key("alerts");
  append_alerts(out, alerts, links);
  json.member("health", report.evaluated_ms > 0 ? "ok" : "unknown").member("lastEvaluation", evaluated_at(report));
  json.member("type", "alerting").end_object();
}

void append_group(std::string& out, const Report& report, const Links& links, bool with_rules) {
  JsonWriter json(out);
  json.begin_object().member("name", "perjoule").member("file", "perjouled").key("rules").begin_array();
  ActiveAlerts active = report.active;
  for (const Rule& rule : with_rules ? report.rules : std::span<const Rule>()) {
    for (const Level& level : rule.levels)
      append_rule(out, rule, level, split_front(active, rule, level), report, links);
  }
  json.end_array().key("interval").integer(1).key("limit").integer(0);
  if (report.evaluated_ms > 0) json.key("evaluationTime").number(report.evaluation_seconds);
  json.member("lastEvaluation", evaluated_at(report)).end_object();
}

// In lower case, because Prometheus ignores case here.
std::string type_parameter(const query::Parameters& parameters) {
  const auto found =
      std::find_if(parameters.begin(), parameters.end(), [](const auto& each) { return each.first == "type"; });
  return found == parameters.end() ? std::string() : text::lower(found->second);
}

}  // namespace

query::Answer answer(std::string_view path, const query::Parameters& parameters, const Report& report,
                     const Links& links) {
  std::string body;
  JsonWriter json(body);
  json.begin_object().member("status", "success").key("data").begin_object();
  if (path == "alerts") {
    json.key("alerts");
    append_alerts(body, report.active, links);
    json.end_object().end_object();
    return {200, std::move(body)};
  }
  const std::string type = type_parameter(parameters);
  if (!type.empty() && type != "alert" && type != "record") {
    return query::error_answer(400, "bad_data",
                               fmt::format("invalid parameter \"type\": not supported value \"{}\"", type));
  }
  json.key("groups").begin_array();
  append_group(body, report, links, type != "record");
  json.end_array().end_object().end_object();
  return {200, std::move(body)};
}

}  // namespace perjoule::alerts
