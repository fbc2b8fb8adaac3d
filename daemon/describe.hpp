// What the daemon knows, as text: the metrics' reference, and which families each collector shows. Pure.
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

// Every family of this build, by who shows it. A family that several collectors share stands under each.
[[nodiscard]] std::vector<MetricGroup> metric_groups();

[[nodiscard]] std::string describe_metrics();  // Markdown

// Families by the name that `?collect[]=` takes.
[[nodiscard]] std::map<std::string, std::set<std::string_view>, std::less<>> collects();

}  // namespace perjoule
