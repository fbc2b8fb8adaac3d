#include <doctest/doctest.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "collectors/registry.hpp"
#include "daemon/commands/describe.hpp"
#include "daemon/families.hpp"
#include "daemon/sampling/sections.hpp"
#include "daemon/self/instruments.hpp"

using namespace perjoule;

TEST_CASE("the reference lists every family once in each of its groups") {
  const std::string text = describe_metrics();
  for (const MetricGroup& group : metric_groups()) {
    CAPTURE(group.name);
    const std::size_t begin = text.find(fmt::format("\n## {}\n", group.name));
    REQUIRE(begin != std::string::npos);
    const std::string section = text.substr(begin + 1, text.find("\n## ", begin + 1) - begin);
    std::set<std::string_view> names;
    for (const Metric* metric : group.metrics) {
      CAPTURE(metric->name);
      CHECK(names.insert(metric->name).second);
      const std::string row = fmt::format("\n| `{}` |", metric->name);
      const std::size_t at = section.find(row);
      REQUIRE(at != std::string::npos);
      CHECK(section.find(row, at + 1) == std::string::npos);
      // A bar in the help would shift the table's columns.
      const std::string line = section.substr(at + 1, section.find('\n', at + 1) - at - 1);
      CHECK(std::count(line.begin(), line.end(), '|') == 5);
    }
    std::size_t rows = 0;
    for (std::size_t at = section.find("\n| `"); at != std::string::npos; at = section.find("\n| `", at + 1))
      ++rows;
    CHECK(rows == group.metrics.size());
  }
}

TEST_CASE("one name is one metric, in whichever group it is") {
  std::map<std::string_view, const Metric*> metrics;
  for (const MetricGroup& group : metric_groups()) {
    for (const Metric* metric : group.metrics)
      CHECK(metrics.emplace(metric->name, metric).first->second == metric);
  }
  CHECK(metrics.size() > 40);
}

TEST_CASE("collect[] accepts every collector, node and self, with the families of each") {
  const auto names = collects();
  for (const Entry* entry : registry()) {
    const auto found = names.find(entry->name);
    REQUIRE(found != names.end());
    for (const Metric* metric : entry->metrics)
      CHECK(found->second.contains(metric->name));
  }
  CHECK(names.contains("node"));
  for (const Metric* metric : Instruments::metrics())
    CHECK(names.at("self").contains(metric->name));
  CHECK(names.size() == registry().size() + 2);
}

TEST_CASE("describe gives the same type as a scrape") {
  const std::string text = describe_metrics();
  CHECK(text.find("| `perjoule_sampling_lateness_seconds` | histogram |") != std::string::npos);
  CHECK(text.find("| `perjoule_node_energy_joules_total` | counter, persisted | source |") != std::string::npos);
  CHECK(text.find("| `perjoule_pressure_some_seconds_total` | counter | resource |") != std::string::npos);
  CHECK(text.find("| `perjoule_node_power_watts` | gauge | source |") != std::string::npos);
}

TEST_CASE("a collector's settings come from its section, the power model's watts from efficiency") {
  config::Settings settings;
  settings.collectors["hwmon"].period = config::Milliseconds(7000);
  settings.power_model.max_watts = 900;
  CHECK(collector_settings(settings, "hwmon").period == config::Milliseconds(7000));
  CHECK_FALSE(collector_settings(settings, "hwmon").options.has("max"));
  CHECK(collector_settings(settings, "power_model").options.number("max") == 900);
  CHECK_FALSE(collector_settings(settings, "power_model").options.has("idle"));
  CHECK(collector_sections().size() == registry().size());
}
