// The nineteen example rules and the default rules against the scenarios in tests/fixtures/alerts.
#include <algorithm>
#include <random>
#include <set>

#include "daemon/alerts/rules/default_rules.hpp"
#include "tests/unit/daemon/alerts/evaluate/scenario.hpp"

namespace perjoule::alerts {
namespace {

const Rule& rule_named(const std::vector<Rule>& rules, std::string_view name) {
  const auto found = std::find_if(rules.begin(), rules.end(), [name](const Rule& rule) { return rule.name == name; });
  REQUIRE(found != rules.end());
  return *found;
}

// Every level of every rule must fire in at least one scenario.
void play_all(const std::vector<Rule>& rules, const std::string& file) {
  std::set<std::pair<std::string, std::string>> fired;
  for (const Scenario& scenario : scenarios(file)) {
    CAPTURE(scenario.name);
    Player player(scenario, rule_named(rules, scenario.alert));
    CHECK(player.play() == scenario.fires);
    for (const Level& level : rule_named(rules, scenario.alert).levels) {
      if (scenario.fires.find(level.severity) != std::string::npos) fired.emplace(scenario.alert, level.severity);
    }
  }
  for (const Rule& rule : rules) {
    for (const Level& level : rule.levels) {
      CAPTURE(rule.name);
      CAPTURE(level.severity);
      CHECK(fired.contains({rule.name, level.severity}));
    }
  }
}

TEST_CASE("each of the nineteen rules fires and clears at the expected steps") {
  play_all(nineteen_rules(), "scenarios.json");
}

TEST_CASE("each of the default rules fires and clears at the expected steps") {
  play_all(default_rules(), "defaults.json");
}

TEST_CASE("no level of the nineteen rules changes while its value stays between the thresholds") {
  std::mt19937_64 random(19);
  for (const Rule& rule : nineteen_rules()) {
    for (const Level& level : rule.levels) {
      if (!level.clear) continue;
      CAPTURE(rule.name);
      CAPTURE(level.severity);
      const auto [low, high] = std::minmax(level.raise, *level.clear);
      std::uniform_real_distribution<double> inside(low, high);
      AlertState fires;
      AlertState rests;
      std::int64_t now_ms = 0;
      const double beyond = level.above ? level.raise + 1 : level.raise - 1;
      while (fires.at != AlertStage::firing)
        (void)step(fires, level, rule.hold_ms, {beyond, true, false}, {now_ms += 60'000, 0});
      for (int i = 0; i < 2'000; ++i, now_ms += 60'000) {
        // The thresholds themselves neither raise nor clear.
        const double value = i % 10 == 0 ? level.raise : i % 10 == 5 ? *level.clear : inside(random);
        CHECK(step(fires, level, rule.hold_ms, {value, true, false}, {now_ms, 0}).first == Change::none);
        CHECK(step(rests, level, rule.hold_ms, {value, true, false}, {now_ms, 0}).first == Change::none);
      }
    }
  }
}

}  // namespace
}  // namespace perjoule::alerts
