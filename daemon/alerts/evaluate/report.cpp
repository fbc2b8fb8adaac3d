#include "daemon/alerts/evaluate/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>

#include "daemon/alerts/rules/promql.hpp"

namespace perjoule::alerts {

namespace {

constexpr std::string_view never = "0001-01-01T00:00:00Z";  // Go's zero time

// As Go's strconv writes it with 'e' and the fewest digits: 1.5e+03.
std::string scientific(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.begin(), text.end(), value, std::chars_format::scientific).ptr;
  return {text.begin(), end};
}

using ActiveAlerts = std::span<const Active>;

bool is_firing(const Active& active) {
  return active.alert.phase == Phase::firing;
}

void append_alert(std::string& out, const Active& active, const Links& links) {
  out += '{';
  append_identity(out, make_notice(active.alert, {}, links, false));
  out += ',';
  append_member(out, "state", is_firing(active) ? "firing" : "pending");
  out += ',';
  append_member(out, "activeAt", rfc3339(active.since_ms));
  out += ',';
  if (active.cleared_ms > 0) {
    append_member(out, "keepFiringSince", rfc3339(active.cleared_ms));
    out += ',';
  }
  append_member(out, "value", scientific(active.alert.value));
  out += '}';
}

void append_alerts(std::string& out, ActiveAlerts alerts, const Links& links) {
  out += '[';
  for (const Active& active : alerts) {
    if (&active != &alerts.front()) out += ',';
    append_alert(out, active, links);
  }
  out += ']';
}

// Takes the alerts of a level from the front.
ActiveAlerts take(ActiveAlerts& active, const Rule& rule, const Level& level) {
  const auto other = std::find_if(active.begin(), active.end(), [&](const Active& each) {
    return each.alert.name != rule.name || each.alert.severity != level.severity;
  });
  const auto taken = active.first(static_cast<std::size_t>(other - active.begin()));
  active = active.subspan(taken.size());
  return taken;
}

std::string evaluated_at(const Report& report) {
  return report.evaluated_ms > 0 ? rfc3339(report.evaluated_ms) : std::string(never);
}

void append_rule(std::string& out, const Rule& rule, const Level& level, ActiveAlerts alerts, const Report& report,
                 const Links& links) {
  const bool fires = std::any_of(alerts.begin(), alerts.end(), is_firing);
  out += '{';
  append_member(out, "state", fires ? "firing" : alerts.empty() ? "inactive" : "pending");
  out += ',';
  append_member(out, "name", rule.name);
  out += ',';
  append_member(out, "query", promql(rule, level));
  out += fmt::format(R"(,"duration":{},"keepFiringFor":{},"labels":)", static_cast<double>(level.for_ms) / 1e3,
                     static_cast<double>(level.clear_for_ms) / 1e3);
  append_object(out, {{"severity", level.severity}});
  out += R"(,"annotations":)";
  append_object(out, template_annotations(rule));
  out += R"(,"alerts":)";
  append_alerts(out, alerts, links);
  out += ',';
  append_member(out, "health", report.evaluated_ms > 0 ? "ok" : "unknown");
  out += ',';
  append_member(out, "lastEvaluation", evaluated_at(report));
  out += R"(,"type":"alerting"})";
}

void append_group(std::string& out, const Report& report, const Links& links, bool with_rules) {
  out += R"({"name":"perjoule","file":"perjouled","rules":[)";
  ActiveAlerts active = report.active;
  for (const Rule& rule : with_rules ? report.rules : std::span<const Rule>()) {
    for (const Level& level : rule.levels) {
      if (out.back() != '[') out += ',';
      append_rule(out, rule, level, take(active, rule, level), report, links);
    }
  }
  out += R"(],"interval":1,"limit":0,)";
  if (report.evaluated_ms > 0) out += fmt::format(R"("evaluationTime":{},)", report.evaluation_seconds);
  append_member(out, "lastEvaluation", evaluated_at(report));
  out += '}';
}

// Prometheus takes it in any case.
std::string type_parameter(const query::Parameters& parameters) {
  const auto found =
      std::find_if(parameters.begin(), parameters.end(), [](const auto& each) { return each.first == "type"; });
  std::string type = found == parameters.end() ? std::string() : found->second;
  for (char& c : type)
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return type;
}

}  // namespace

query::Answer answer(std::string_view path, const query::Parameters& parameters, const Report& report,
                     const Links& links) {
  std::string body = R"({"status":"success","data":{)";
  if (path == "alerts") {
    body += R"("alerts":)";
    append_alerts(body, report.active, links);
    return {200, body + "}}"};
  }
  const std::string type = type_parameter(parameters);
  if (!type.empty() && type != "alert" && type != "record") {
    return query::error_answer(400, "bad_data",
                               fmt::format("invalid parameter \"type\": not supported value \"{}\"", type));
  }
  body += R"("groups":[)";
  append_group(body, report, links, type != "record");
  return {200, body + "]}}"};
}

}  // namespace perjoule::alerts
