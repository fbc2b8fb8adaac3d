// From the configuration's `alerts.rules` to rules, with every refusal at once and in its place.
//
//   RULE = { alert, enabled?, value: TERM, minus?: TERM, over?: TERM, when?: [ GUARD ], levels: [ LEVEL ], hold?,
//            summary?, runbook? }
//   TERM = { metric, match?: { label: "v" | ["v", ..] }, fn?: last | rate | increase | delta | avg | min | max | age,
//            window?, sum_by | avg_by | min_by | max_by | count_by?: [labels] }
//   GUARD = { value: TERM, minus?: TERM, over?: TERM, above | below }
//   LEVEL = { severity, raise_above | raise_below, clear_below | clear_above?, for?, clear_for? }
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
  std::vector<Rule> rules;            // that are enabled and right
  std::vector<std::string> disabled;  // names
  std::vector<config::json::Problem> problems;
};

// `defaults`: names that a rule without a condition of its own may switch off.
[[nodiscard]] RuleList read_rules(const config::json::Value& list, const Catalogue& catalogue,
                                  std::span<const std::string_view> defaults);

// What the loader wants (config/loader.hpp).
[[nodiscard]] std::vector<config::json::Problem> examine_rules(const config::json::Value& list);

// The rules in force: the default ones, without those that `settings` replaces or switches off, and its own.
[[nodiscard]] std::vector<Rule> rules_in_force(const config::Alerts& settings);

}  // namespace perjoule::alerts
