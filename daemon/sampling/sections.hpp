// The registry as the configuration sees it, and a collector's settings as its `make` takes them.
#pragma once

#include <string_view>
#include <vector>

#include "config/loader.hpp"
#include "config/settings.hpp"

namespace perjoule {

[[nodiscard]] std::vector<config::CollectorSection> collector_sections();

// The collector's own section; the power model's watts come from efficiency.power_model.
[[nodiscard]] config::CollectorSettings collector_settings(const config::Settings& settings, std::string_view name);

}  // namespace perjoule
