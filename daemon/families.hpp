// The catalogue: every metric family of this build, by who shows it. Pure; any thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/metric.hpp"

namespace perjoule {

struct MetricGroup {
  std::string name;  // collector, "node" (derived rows), "self" (the daemon's own)
  std::string help;
  std::vector<const Metric*> metrics;
};

// A family that several collectors share stands under each.
[[nodiscard]] std::vector<MetricGroup> metric_groups();

// Families by the name that `?collect[]=` takes.
[[nodiscard]] std::map<std::string, std::set<std::string_view>, std::less<>> collects();

}  // namespace perjoule
