// Configured rules that can never fire, because nothing produces a family that they read. Such a rule is valid: it may
// be written before its collector is enabled. It is warned of by check-config, in the log and on the page. Pure; any
// thread.
#pragma once

#include <string>
#include <vector>

#include "config/settings.hpp"

namespace perjoule::alerts {

// One line per rule and family: "alert Hot can never fire: perjoule_x_watts: no part of this build produces it".
// The default rules are not among them: they read what the build has, and stay silent where a collector is off.
[[nodiscard]] std::vector<std::string> unproduced_rules(const config::Settings& settings);

}  // namespace perjoule::alerts
