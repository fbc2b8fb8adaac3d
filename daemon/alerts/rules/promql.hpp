// Rules as a rule file for Prometheus 2.42 and later, and as a page for people. Pure; any thread.
//
// One Prometheus rule per level. What Prometheus lacks is written in PromQL:
//   band   `E > raise or E >= clear and ALERTS{.., alertstate="firing"}`: what fires goes on until it clears
//   hold   `or E of the last `hold` and ALERTS{..} unless E`: what fires stays a while when its series vanish
// and clear_for is keep_firing_for. Expressions name no target label, so that they hold per instance and job.
#pragma once

#include <span>
#include <string>

#include "daemon/alerts/alert.hpp"
#include "daemon/alerts/rules/rule.hpp"

namespace perjoule::alerts {

[[nodiscard]] std::string promql(const Rule& rule, const Level& level);
// The summary with Prometheus' templates, and the runbook, of each of them.
[[nodiscard]] Labels template_annotations(const Rule& rule);
[[nodiscard]] std::string describe_rules(std::span<const Rule> rules);   // YAML
[[nodiscard]] std::string describe_alerts(std::span<const Rule> rules);  // Markdown

}  // namespace perjoule::alerts
