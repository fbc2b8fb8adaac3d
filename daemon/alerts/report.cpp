#include "daemon/alerts/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>

#include "daemon/alerts/promql.hpp"

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

bool is_firing(const Transition& active) {
  return active.alert.phase == Phase::firing;
}

void append_alert(std::string& out, const Transition& active, const Links& links) {
  out += '{';
  append_identity(out, make_notice(active.alert, {}, links, false));
  out += ',';
  append_member(out, "state", is_firing(active) ? "firing" : "pending");
  out += ',';
  append_member(out, "activeAt", rfc3339(active.since_ms));
  out += ',';
  append_member(out, "value", scientific(active.alert.value));
  out += '}';
}

// [..], of what `wanted` accepts.
template <class Wanted>
void append_alerts(std::string& out, const Report& report, const Links& links, const Wanted& wanted) {
  char separator = '[';
  for (const Transition& active : report.active) {
    if (!wanted(active)) continue;
    out += separator;
    append_alert(out, active, links);
    separator = ',';
  }
  out += separator == '[' ? "[]" : "]";
}

void append_rule(std::string& out, const Rule& rule, const Level& level, const Report& report, const Links& links) {
  const auto is_of_level = [&](const Transition& active) {
    return active.alert.name == rule.name && active.alert.severity == level.severity;
  };
  const auto any = [&](const auto& is) {
    return std::any_of(report.active.begin(), report.active.end(),
                       [&](const Transition& active) { return is_of_level(active) && is(active); });
  };
  const bool fires = any(is_firing);
  out += '{';
  append_member(out, "state", fires ? "firing" : any([](const Transition&) { return true; }) ? "pending" : "inactive");
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
  append_alerts(out, report, links, is_of_level);
  out += ',';
  append_member(out, "health", report.evaluated_ms > 0 ? "ok" : "unknown");
  out += ',';
  append_member(out, "lastEvaluation", report.evaluated_ms > 0 ? rfc3339(report.evaluated_ms) : std::string(never));
  out += R"(,"type":"alerting"})";
}

void append_group(std::string& out, const Report& report, const Links& links, bool with_rules) {
  out += R"({"name":"perjoule","file":"perjouled","rules":[)";
  for (const Rule& rule : report.rules) {
    for (const Level& level : rule.levels) {
      if (!with_rules) continue;
      if (out.back() != '[') out += ',';
      append_rule(out, rule, level, report, links);
    }
  }
  out += fmt::format(R"(],"interval":1,"limit":0,"evaluationTime":{},)", report.evaluation_seconds);
  append_member(out, "lastEvaluation", report.evaluated_ms > 0 ? rfc3339(report.evaluated_ms) : std::string(never));
  out += '}';
}

}  // namespace

query::Answer answer(std::string_view path, const query::Parameters& parameters, const Report& report,
                     const Links& links) {
  std::string body = R"({"status":"success","data":{)";
  if (path == "alerts") {
    body += R"("alerts":)";
    append_alerts(body, report, links, [](const Transition&) { return true; });
    return {200, body + "}}"};
  }
  const auto type = std::find_if(parameters.begin(), parameters.end(), [](const auto& p) { return p.first == "type"; });
  const std::string_view wanted = type == parameters.end() ? std::string_view() : type->second;
  if (!wanted.empty() && wanted != "alert" && wanted != "record") {
    return query::error_answer(400, "bad_data",
                               fmt::format("invalid parameter \"type\": not supported value \"{}\"", wanted));
  }
  body += R"("groups":[)";
  append_group(body, report, links, wanted != "record");
  return {200, body + "]}}"};
}

}  // namespace perjoule::alerts
