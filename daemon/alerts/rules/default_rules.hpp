// The rules that the daemon brings, written in the language of the configuration. No absolute temperature is among
// them: what is too hot is the hardware's to say, by its margin and its throttling. Any thread.
#pragma once

#include <string_view>
#include <vector>

#include "daemon/alerts/rules/rule.hpp"

namespace perjoule::alerts {

[[nodiscard]] std::string_view default_rules_text();  // JSON, a list of rules
[[nodiscard]] const std::vector<Rule>& default_rules();

}  // namespace perjoule::alerts
