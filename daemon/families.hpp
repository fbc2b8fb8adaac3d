// The catalogue: every metric family of this build, grouped by the part that produces it. Pure; any thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/metric.hpp"

namespace perjoule {

struct MetricGroup {
  std::string name;  // a collector's name, "node" (derived metrics) or "self" (the daemon's own)
  std::string help;
  std::vector<const Metric*> metrics;
};

// A family that several collectors share appears in each of their groups.
[[nodiscard]] std::vector<MetricGroup> metric_groups();

// Family names by group name, as `/metrics?collect[]=GROUP` takes it.
[[nodiscard]] std::map<std::string, std::set<std::string_view>, std::less<>> collects();

}  // namespace perjoule
