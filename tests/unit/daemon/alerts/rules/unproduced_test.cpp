#include "daemon/alerts/rules/unproduced.hpp"

#include <doctest/doctest.h>

#include "collectors/registry.hpp"
#include "daemon/alerts/rules/default_rules.hpp"
#include "daemon/alerts/rules/rule_reader.hpp"
#include "daemon/families.hpp"
#include "daemon/sampling/sections.hpp"

namespace perjoule::alerts {
namespace {

config::Settings with_rule(const std::string& terms) {
  config::Settings settings;
  for (const Entry* entry : registry())
    settings.collectors[std::string(entry->name)].enabled = true;
  settings.alerts.rules =
      R"([{"alert": "Mine", )" + terms + R"(, "levels": [{"severity": "info", "raise_above": 1}]}])";
  REQUIRE(configured_rules(settings.alerts).size() == 1);
  return settings;
}

using Lines = std::vector<std::string>;

TEST_CASE("a rule on a family of a later version is warned of; one on a family of this build is not") {
  CHECK(
      unproduced_rules(with_rule(R"("value": {"metric": "perjoule_workload_efficiency_index_ratio"})")) ==
      Lines{"alert Mine can never fire: perjoule_workload_efficiency_index_ratio: no part of this build produces it"});
  CHECK(unproduced_rules(with_rule(R"("value": {"metric": "perjoule_gpu_power_watts"})")).empty());
  CHECK(unproduced_rules(with_rule(R"("value": {"metric": "perjoule_alerting_gpus", "sum_by": []})")).empty());
  CHECK(unproduced_rules(with_rule(R"("value": {"metric": "perjoule_storage_series"})")).empty());
  // Of minus, over and guards too, and each family once.
  CHECK(unproduced_rules(with_rule(R"("value": {"metric": "perjoule_gpus"},
      "minus": {"metric": "perjoule_emissions_market_grams_total"},
      "when": [{"value": {"metric": "perjoule_emissions_market_grams_total"}, "above": 1}])"))
            .size() == 1);
}

TEST_CASE("a disabled collector takes its families and what is derived from them") {
  config::Settings settings = with_rule(R"("value": {"metric": "perjoule_gpu_thermal_margin_celsius"})");
  settings.collectors["nvml"].enabled = false;
  CHECK(
      unproduced_rules(settings) ==
      Lines{"alert Mine can never fire: perjoule_gpu_thermal_margin_celsius: every collector that reads it is disabled "
            "(nvml)"});
  settings = with_rule(R"("value": {"metric": "perjoule_gpu_deep_idle_watts"})");
  settings.collectors["nvml"].enabled = false;
  CHECK(unproduced_rules(settings) == Lines{"alert Mine can never fire: perjoule_gpu_deep_idle_watts: the collectors "
                                            "that it is derived from are disabled"});
  // The node's energy has other sources.
  settings = with_rule(R"("value": {"metric": "perjoule_node_power_watts", "sum_by": []})");
  settings.collectors["nvml"].enabled = false;
  CHECK(unproduced_rules(settings).empty());
}

TEST_CASE("cost needs a price") {
  config::Settings settings = with_rule(R"("value": {"metric": "perjoule_energy_cost_total", "fn": "rate",
      "window": "1h"})");
  CHECK(unproduced_rules(settings) == Lines{"alert Mine can never fire: perjoule_energy_cost_total: "
                                            "efficiency.electricity.price is not set"});
  settings.efficiency.price = config::Price{0.12, "USD"};
  CHECK(unproduced_rules(settings).empty());
}

TEST_CASE("the default rules read only what this build produces") {
  for (const Rule& rule : default_rules()) {
    for (const Term* term : terms(rule)) {
      CAPTURE(rule.name);
      CAPTURE(term->metric);
      CHECK(catalogue().at(term->metric).produced);
    }
  }
}

}  // namespace
}  // namespace perjoule::alerts
