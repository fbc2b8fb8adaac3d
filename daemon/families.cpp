#include "daemon/families.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "collectors/gpu/metrics.hpp"
#include "collectors/registry.hpp"
#include "daemon/efficiency/rows.hpp"
#include "daemon/http/client_metrics.hpp"
#include "daemon/record/alert_metrics.hpp"
#include "daemon/record/ledger.hpp"
#include "daemon/record/metrics.hpp"
#include "daemon/sampling/sections.hpp"
#include "daemon/self/instruments.hpp"

namespace perjoule {

std::vector<MetricGroup> metric_groups() {
  std::vector<MetricGroup> groups;
  for (const Entry* entry : registry()) {
    groups.push_back(
        {std::string(entry->name), std::string(entry->help), {entry->metrics.begin(), entry->metrics.end()}});
  }
  MetricGroup node{"node", "Derived from the readings of the collectors.", row_metrics()};
  node.metrics.insert(node.metrics.end(),
                      {&energy_by_source, &energy_unobserved, &gpus, &gpus_expected, &gpu_lost, &gpus_unseen});
  groups.push_back(std::move(node));
  MetricGroup self{"self",
                   "The daemon itself and its sources.",
                   {&source_state, &source_items, &collector_last_success, &collector_duration, &collector_faults,
                    &collector_missed_ticks, &alerts::alert_count, &alerts::alerting_gpus, &alerts::alert_overflows,
                    &alerts::maintenance_active, &alerts::maintenance_until, &alerts::notifications,
                    &alerts::notification_failures, &alerts::notifications_dropped, &alerts::notifications_pending,
                    &http::client_connections, &http::client_kept, &http::client_limits}};
  const auto own = Instruments::metrics();
  self.metrics.insert(self.metrics.end(), own.begin(), own.end());
  groups.push_back(std::move(self));
  for (MetricGroup& group : groups) {
    std::sort(group.metrics.begin(), group.metrics.end(),
              [](const Metric* a, const Metric* b) { return a->name < b->name; });
  }
  return groups;
}

std::map<std::string_view, std::string> unproduced_families(const config::Settings& settings) {
  std::set<std::string_view> produced;
  std::map<std::string_view, std::string> silent;
  for (const Entry* entry : registry()) {
    const bool enabled = collector_settings(settings, entry->name).enabled;
    for (const Metric* metric : entry->metrics) {
      if (enabled) {
        produced.insert(metric->name);
      } else if (const auto [found, first] = silent.emplace(metric->name, entry->name); !first) {
        found->second += fmt::format(", {}", entry->name);
      }
    }
  }
  for (auto& [name, collectors] : silent)
    collectors = fmt::format("every collector that reads it is disabled ({})", collectors);
  Ledger nothing({}, "");
  for (const std::unique_ptr<Row>& row : make_rows(nothing)) {
    row->configure(settings.efficiency);
    const auto inputs = row->inputs();
    const bool fed = std::any_of(inputs.begin(), inputs.end(), [&](auto* one) { return produced.contains(one->name); });
    for (const Metric* metric : row->outputs()) {
      const std::string_view key = row->lacks(*metric);
      if (fed && key.empty()) {
        produced.insert(metric->name);
      } else {
        silent.emplace(metric->name,
                       fed ? fmt::format("{} is not set", key) : "the collectors that it is derived from are disabled");
      }
    }
  }
  std::erase_if(silent, [&](const auto& family) { return produced.contains(family.first); });
  return silent;
}

std::map<std::string, std::set<std::string_view>, std::less<>> collects() {
  std::map<std::string, std::set<std::string_view>, std::less<>> names;
  for (const MetricGroup& group : metric_groups()) {
    auto& families = names[group.name];
    for (const Metric* metric : group.metrics)
      families.insert(metric->name);
  }
  return names;
}

}  // namespace perjoule
