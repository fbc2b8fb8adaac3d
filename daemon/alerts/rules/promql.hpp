// Translates rules to a rule file for Prometheus 2.42 and later, and to a Markdown page. Pure; any thread.
//
// Each level becomes one Prometheus rule. clear_for becomes keep_firing_for. Two features that Prometheus does not have
// are written in PromQL, with E for the expression:
//
//   hysteresis  E > raise or E >= clear and ALERTS{.., alertstate="firing"}
//               a firing alert goes on until E is beyond the clear threshold
//   hold        or last_over_time(E[hold - clear_for]) and ALERTS{.., alertstate="firing"} unless E
//               a firing alert goes on after its series have vanished; with keep_firing_for, for `hold` in total
//
// Not translated are `cause`, which Alertmanager's inhibition rules stand for (deploy/alertmanager.example.yml), and
// on_absence resolve together with clear_for: Prometheus' keep_firing_for also counts without data.
//
// Expressions name no target label (instance, job), so a rule works for each scraped daemon separately.
#pragma once

#include <span>
#include <string>

#include "daemon/alerts/alert.hpp"
#include "daemon/alerts/rules/rule.hpp"

namespace perjoule::alerts {

[[nodiscard]] std::string promql(const Rule& rule, const Level& level);
// The annotations of a rule: the summary with Prometheus' templates as placeholders, and the runbook.
[[nodiscard]] Labels template_annotations(const Rule& rule);
[[nodiscard]] std::string describe_rules(std::span<const Rule> rules);   // YAML
[[nodiscard]] std::string describe_alerts(std::span<const Rule> rules);  // Markdown

}  // namespace perjoule::alerts
