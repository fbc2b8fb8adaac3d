// The nineteen example rules against the scenarios of tests/fixtures/alerts/scenarios.json.
#include <algorithm>
#include <random>
#include <set>

#include "tests/unit/daemon/alerts/evaluate/scenario.hpp"

namespace perjoule::alerts {
namespace {

const Rule& rule_named(const std::vector<Rule>& rules, std::string_view name) {
  const auto found = std::find_if(rules.begin(), rules.end(), [name](const Rule& rule) { return rule.name == name; });
  REQUIRE(found != rules.end());
  return *found;
}

TEST_CASE("each of the nineteen rules fires and clears at the expected steps") {
  const std::vector<Rule> rules = nineteen_rules();
  std::set<std::pair<std::string, std::string>> fired;
  for (const Scenario& scenario : scenarios()) {
    CAPTURE(scenario.name);
    Player player(scenario, rule_named(rules, scenario.alert));
    CHECK(player.play() == scenario.fires);
    for (const Level& level : rule_named(rules, scenario.alert).levels) {
      if (scenario.fires.find(level.severity) != std::string::npos) fired.emplace(scenario.alert, level.severity);
    }
  }
  std::size_t levels = 0;
  for (const Rule& rule : rules)
    levels += rule.levels.size();
  CHECK(fired.size() == levels);
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
