#include "daemon/alerts/rules/unproduced.hpp"

#include <fmt/format.h>

#include <set>

#include "daemon/alerts/rules/rule_reader.hpp"
#include "daemon/families.hpp"

namespace perjoule::alerts {

std::vector<std::string> unproduced_rules(const config::Settings& settings) {
  std::vector<std::string> lines;
  const std::map<std::string_view, std::string> silent = unproduced_families(settings);
  for (const Rule& rule : configured_rules(settings.alerts)) {
    std::set<std::string_view> metrics;
    for (const Term* term : terms(rule))
      metrics.insert(term->metric);
    for (const std::string_view metric : metrics) {
      const auto declared = catalogue().find(metric);
      const bool produced = declared != catalogue().end() && declared->second.produced;
      const auto why = silent.find(metric);
      if (produced && why == silent.end()) continue;
      lines.push_back(fmt::format("alert {} can never fire: {}: {}", rule.name, metric,
                                  produced ? why->second : "no part of this build produces it"));
    }
  }
  return lines;
}

}  // namespace perjoule::alerts
