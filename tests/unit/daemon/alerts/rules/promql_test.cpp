// The PromQL that a rule is translated to. tests/alerts_promtool.py checks that it behaves like the evaluator.
#include "daemon/alerts/rules/promql.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <set>

#include "daemon/alerts/rules/default_rules.hpp"
#include "tests/unit/daemon/alerts/evaluate/rules.hpp"

namespace perjoule::alerts {
namespace {

std::string translated(std::string_view text) {
  const std::vector<Rule> rules = rules_of(text);
  REQUIRE(rules.size() == 1);
  return promql(rules[0], rules[0].levels[0]);
}

TEST_CASE("a plain rule: raise, hysteresis, hold") {
  CHECK(
      translated(R"([{"alert": "Cold", "value": {"metric": "perjoule_temperature_celsius", "match": {"role": "inlet"}},
      "levels": [{"severity": "info", "raise_below": 18, "clear_above": 19}]}])") ==
      R"(perjoule_temperature_celsius{role="inlet"} < 18
or
perjoule_temperature_celsius{role="inlet"} <= 19
  and ignoring (alertname, alertstate, severity) ALERTS{alertname="Cold", alertstate="firing", severity="info"}
or
last_over_time(perjoule_temperature_celsius{role="inlet"}[15m])
  and ignoring (alertname, alertstate, severity) ALERTS{alertname="Cold", alertstate="firing", severity="info"}
  unless (perjoule_temperature_celsius{role="inlet"}))");
}

TEST_CASE("joins ignore labels that `match` fixes, aggregations keep target labels, guards must be true") {
  CHECK(translated(R"([{"alert": "A", "value": {"metric": "perjoule_pue_ratio", "match": {"window": "24h"}},
      "minus": {"metric": "perjoule_pue_baseline_ratio"}, "hold": "0s",
      "levels": [{"severity": "info", "raise_above": 0.05}]}])") ==
        "perjoule_pue_ratio{window=\"24h\"} - ignoring (window) group_left () perjoule_pue_baseline_ratio > 0.05");
  CHECK(translated(
            R"([{"alert": "A", "value": {"metric": "perjoule_circuit_current_amperes", "sum_by": ["rack", "phase"]},
      "over": {"metric": "perjoule_circuit_rating_amperes", "min_by": ["rack", "phase"]}, "hold": "0s",
      "levels": [{"severity": "info", "raise_above": 1}]}])") ==
        "sum without (feed) (perjoule_circuit_current_amperes) / min without (feed) (perjoule_circuit_rating_amperes) "
        "> 1");
  CHECK(translated(R"([{"alert": "A", "value": {"metric": "perjoule_gpu_throttle_seconds_total",
      "match": {"reason": ["a.b", "c\"\\"]}, "fn": "rate", "window": "5m"}, "minus": {"metric": "perjoule_gpus"},
      "over": {"metric": "perjoule_gpus_expected"}, "hold": "0s",
      "when": [{"value": {"metric": "perjoule_gpu_power_watts", "fn": "max", "window": "1m"}, "below": 0.5}],
      "levels": [{"severity": "info", "raise_above": 1}]}])") ==
        R"((rate(perjoule_gpu_throttle_seconds_total{reason=~"a\\.b|c\"\\\\"}[5m]) - ignoring (gpu, uuid, reason) )"
        R"(group_left () perjoule_gpus) / ignoring (gpu, uuid, reason) group_left () perjoule_gpus_expected > 1 and )"
        R"(ignoring (reason) max_over_time(perjoule_gpu_power_watts[1m]) < 0.5)");
  CHECK(translated(R"([{"alert": "A", "value": {"metric": "perjoule_job_energy_joules_total", "fn": "rate",
      "window": "5m", "sum_by": ["user"]}, "hold": "0s", "levels": [{"severity": "info", "raise_above": 1}]}])") ==
        "sum by (instance, job, user) (rate(perjoule_job_energy_joules_total[5m])) > 1");
}

TEST_CASE("the rule file has the durations, labels and annotations of each level") {
  const std::vector<Rule> rules = rules_of(R"([{"alert": "A", "value": {"metric": "perjoule_gpu_power_watts"},
      "levels": [{"severity": "info", "raise_above": 1, "for": "90s", "clear_for": "15m"}],
      "summary": "it's {gpu}: {value}", "runbook": "a-page"}])");
  CHECK(describe_rules(rules).find(R"(      - alert: A
        expr: |-
          perjoule_gpu_power_watts > 1
        for: 1m30s
        keep_firing_for: 15m
        labels:
          severity: info
        annotations:
          summary: 'it''s {{ $labels.gpu }}: {{ $value | printf "%.4g" }}'
          runbook: 'a-page'
)") != std::string::npos);
  CHECK(
      describe_alerts(rules).find(
          "| `A` | info | perjoule_gpu_power_watts > 1 for 1m30s; clears otherwise for 15m; held without data for 15m "
          "| it's {gpu}: {value} | a-page |") != std::string::npos);
}

TEST_CASE("every default alert has a runbook page with the four sections, and there is no page without an alert") {
  std::set<std::string> expected;
  for (const Rule& rule : default_rules()) {
    CAPTURE(rule.name);
    CHECK(expected.insert(rule.runbook + ".md").second);
    const std::string page = file_text("deploy/runbooks/" + rule.runbook + ".md");
    CHECK(page.starts_with("# " + rule.name + "\n"));
    std::size_t at = 0;
    for (const char* section : {"\n## Meaning\n", "\n## Impact\n", "\n## Diagnosis\n", "\n## Mitigation\n"}) {
      const std::size_t found = page.find(section, at);
      CHECK_MESSAGE(found != std::string::npos, section);
      at = found;
    }
  }
  std::set<std::string> there;
  for (const auto& entry : std::filesystem::directory_iterator(PERJOULE_SOURCE_DIR "/deploy/runbooks"))
    there.insert(entry.path().filename().string());
  CHECK(there == expected);
}

}  // namespace
}  // namespace perjoule::alerts
