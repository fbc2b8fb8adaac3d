// The catalogue: every metric family of this build, grouped by the part that produces it. `describe`, the rule reader
// and the parameter collect[] use it. Pure; any thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/metric.hpp"
#include "config/settings.hpp"

namespace perjoule {

struct MetricGroup {
  std::string name;  // a collector's name, "node" (derived metrics) or "self" (the daemon's own)
  std::string help;
  std::vector<const Metric*> metrics;
};

// Sorted by name in each group. A family that several collectors share is in each of their groups.
[[nodiscard]] std::vector<MetricGroup> metric_groups();

// The families that this build declares and that `settings` keep it from producing, with the reason: every collector
// that reads them is disabled, or a row lacks its inputs or a key. A family that a device may lack is not among them.
[[nodiscard]] std::map<std::string_view, std::string> unproduced_families(const config::Settings& settings);

// Family names by group name, for `/metrics?collect[]=GROUP`.
[[nodiscard]] std::map<std::string, std::set<std::string_view>, std::less<>> collects();

}  // namespace perjoule
