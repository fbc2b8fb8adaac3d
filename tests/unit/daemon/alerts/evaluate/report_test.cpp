// Expected JSON as Prometheus 2.42 returned it for a rule file with the same rules.
#include "daemon/alerts/evaluate/report.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "daemon/alerts/rules/promql.hpp"
#include "tests/unit/daemon/alerts/evaluate/rules.hpp"

namespace perjoule::alerts {
namespace {

using nlohmann::json;

constexpr std::string_view rules_text = R"([
  {"alert": "Warm", "value": {"metric": "perjoule_temperature_celsius"}, "runbook": "warm",
   "summary": "inlet \"{sensor}\" at {value}",
   "levels": [{"severity": "warning", "raise_above": 27, "for": "90s", "clear_for": "1m"},
              {"severity": "critical", "raise_above": 35}]},
  {"alert": "Hot", "value": {"metric": "perjoule_temperature_celsius"}, "runbook": "https://example.org/hot",
   "summary": "hot", "levels": [{"severity": "warning", "raise_above": 40}]}])";

Active active(std::string name, std::string severity, Phase phase, double value) {
  Active made;
  made.since_ms = 1'795'424'400'250;
  made.alert.name = std::move(name);
  made.alert.severity = std::move(severity);
  made.alert.labels = {{"chip", "x"}, {"sensor", "temp1"}};
  made.alert.phase = phase;
  made.alert.value = value;
  made.alert.summary = "inlet \"temp1\"";
  made.alert.runbook = "warm";
  return made;
}

json data(std::string_view path, const query::Parameters& parameters, const Report& report) {
  const query::Answer got = answer(path, parameters, report, {"", "https://example.org/{runbook}.md"});
  CHECK(got.status == 200);
  const json read = json::parse(got.body);
  CHECK(read.at("status") == "success");
  return read.at("data");
}

}  // namespace

TEST_CASE("report: alerts have labels, annotations, state, start and value") {
  const std::vector<Rule> rules = rules_of(rules_text);
  Report report{rules, {active("Warm", "warning", Phase::pending, 28.5)}, 1'795'424'401'000, 0.25};
  const query::Answer got = answer("alerts", {}, report, {"", "https://example.org/{runbook}.md"});
  CHECK(
      got.body ==
      R"({"status":"success","data":{"alerts":[{"labels":{"alertname":"Warm","chip":"x","sensor":"temp1",)"
      R"("severity":"warning"},"annotations":{"runbook_url":"https://example.org/warm.md",)"
      R"("summary":"inlet \"temp1\""},"state":"pending","activeAt":"2026-11-23T09:00:00.25Z","value":"2.85e+01"}]}})");
  report.active[0].cleared_ms = 1'795'424'402'000;
  CHECK(data("alerts", {}, report).at("alerts").at(0).at("keepFiringSince") == "2026-11-23T09:00:02Z");
  report.active.clear();
  CHECK(answer("alerts", {}, report, {}).body == R"({"status":"success","data":{"alerts":[]}})");
}

TEST_CASE("report: a value is written as Prometheus writes it") {
  const auto written = [](double value) {
    const Report report{{}, {active("Warm", "warning", Phase::firing, value)}, 0, 0};
    return data("alerts", {}, report).at("alerts").at(0).at("value").get<std::string>();
  };
  CHECK(written(1) == "1e+00");
  CHECK(written(-0.125) == "-1.25e-01");
  CHECK(written(1e7) == "1e+07");
  CHECK(written(1e-300) == "1e-300");
  CHECK(written(std::numeric_limits<double>::infinity()) == "+Inf");
}

TEST_CASE("report: each level is reported as one Prometheus rule with its active alerts") {
  const std::vector<Rule> rules = rules_of(rules_text);
  const Report report{rules,
                      {active("Warm", "warning", Phase::firing, 36), active("Warm", "warning", Phase::pending, 28),
                       active("Warm", "critical", Phase::pending, 36)},
                      1'795'424'401'000,
                      0.25};
  const json groups = data("rules", {}, report).at("groups");
  REQUIRE(groups.size() == 1);
  const json& group = groups[0];
  CHECK(group.at("name") == "perjoule");
  CHECK(group.at("file") == "perjouled");
  CHECK(group.at("interval") == 1);
  CHECK(group.at("evaluationTime") == 0.25);
  CHECK(group.at("lastEvaluation") == "2026-11-23T09:00:01Z");
  const json& of = group.at("rules");
  REQUIRE(of.size() == 3);
  CHECK(of[0].at("state") == "firing");
  CHECK(of[1].at("state") == "pending");
  CHECK(of[2].at("state") == "inactive");
  CHECK(of[0].at("alerts").size() == 2);
  CHECK(of[1].at("alerts").size() == 1);
  CHECK(of[2].at("alerts") == json::array());
  CHECK(of[0].at("duration") == 90);
  CHECK(of[0].at("keepFiringFor") == 60);
  CHECK(of[1].at("duration") == 0);
  CHECK(of[0].at("labels") == json{{"severity", "warning"}});
  CHECK(of[0].at("annotations") ==
        json{{"summary", R"(inlet "{{ $labels.sensor }}" at {{ $value | printf "%.4g" }})"}, {"runbook", "warm"}});
  CHECK(of[2].at("annotations").at("runbook_url") == "https://example.org/hot");
  CHECK(of[2].at("query") == promql(rules[1], rules[1].levels[0]));
  for (const json& rule : of) {
    CHECK(rule.at("type") == "alerting");
    CHECK(rule.at("health") == "ok");
    CHECK(rule.at("lastEvaluation") == "2026-11-23T09:00:01Z");
  }
}

TEST_CASE("report: before the first evaluation the health of a rule is unknown") {
  const std::vector<Rule> rules = rules_of(rules_text);
  const json group = data("rules", {}, {rules, {}, 0, 0}).at("groups").at(0);
  CHECK(group.at("rules").at(0).at("health") == "unknown");
  CHECK(group.at("lastEvaluation") == "0001-01-01T00:00:00Z");
  CHECK(!group.contains("evaluationTime"));
}

TEST_CASE("report: the parameter type selects rules") {
  const std::vector<Rule> rules = rules_of(rules_text);
  const Report report{rules, {}, 1, 0};
  CHECK(data("rules", {{"type", "Alert"}}, report).at("groups").at(0).at("rules").size() == 3);
  CHECK(data("rules", {{"type", "record"}}, report).at("groups").at(0).at("rules") == json::array());
  const query::Answer refused = answer("rules", {{"type", "foo"}}, report, {});
  CHECK(refused.status == 400);
  CHECK(refused.body == R"({"status":"error","errorType":"bad_data",)"
                        R"("error":"invalid parameter \"type\": not supported value \"foo\""})");
}

}  // namespace perjoule::alerts
