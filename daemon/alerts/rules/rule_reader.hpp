// Reads the configuration's `alerts.rules` into rules. All problems are reported in one run, each with its place in the
// file.
//
//   RULE = { alert, enabled?, value: TERM, minus?: TERM, over?: TERM, when?: [ GUARD ], levels: [ LEVEL ], hold?,
//            on_absence?: hold | resolve, summary?, runbook?, cause? }
//   TERM = { metric, match?: { label: "v" | ["v", ..] }, fn?: last | rate | increase | delta | avg | min | max | age,
//            window?, sum_by | avg_by | min_by | max_by | count_by?: [labels] }
//   GUARD = { value: TERM, minus?: TERM, over?: TERM, above | below }
//   LEVEL = { severity, raise_above | raise_below, clear_below | clear_above?, for?, clear_for? }
//
// on_absence: a firing alert whose series are gone is held for `hold` (the default), or resolved at once.
// cause: of the alerts of one cause one is sent for each GPU (daemon/alerts/choice.hpp). summary: summary.hpp.
//
// Pure; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/json_reader.hpp"
#include "config/settings.hpp"
#include "daemon/alerts/rules/catalogue.hpp"
#include "daemon/alerts/rules/rule.hpp"

namespace perjoule::alerts {

inline constexpr std::size_t rules_max = 256;
inline constexpr std::size_t guards_max = 8;

struct RuleList {
  std::vector<Rule> rules;            // enabled; complete only if `problems` is empty
  std::vector<std::string> disabled;  // names of rules with "enabled": false
  std::vector<config::json::Problem> problems;
};

// `defaults`: the names of the built-in rules, which { "alert": NAME, "enabled": false } may switch off.
[[nodiscard]] RuleList read_rules(const config::json::Value& list, const Catalogue& catalogue,
                                  std::span<const std::string_view> defaults);

// The check that config/loader.hpp calls (ExamineRules).
[[nodiscard]] std::vector<config::json::Problem> examine_rules(const config::json::Value& list);

// The enabled rules of the configuration.
[[nodiscard]] std::vector<Rule> configured_rules(const config::Alerts& settings);

// The rules in force: the built-in rules that `settings` neither replaces nor switches off, then the configured ones.
[[nodiscard]] std::vector<Rule> rules_in_force(const config::Alerts& settings);

}  // namespace perjoule::alerts
