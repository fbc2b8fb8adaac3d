// The built-in alert rules, written as JSON in the rule language of the configuration (rule_reader.hpp). Any thread.
//
// No rule has an absolute temperature as threshold: boards have different limits, so the rules use the hardware's own
// thermal margin and throttle counters.
#pragma once

#include <string_view>
#include <vector>

#include "daemon/alerts/rules/rule.hpp"

namespace perjoule::alerts {

[[nodiscard]] std::string_view default_rules_text();  // JSON, a list of rules
[[nodiscard]] const std::vector<Rule>& default_rules();

}  // namespace perjoule::alerts
