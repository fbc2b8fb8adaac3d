// Connects the registry of collectors with the configuration: the sections that exist, and the settings of each
// collector. Pure; any thread.
#pragma once

#include <string_view>
#include <vector>

#include "config/loader.hpp"
#include "config/settings.hpp"

namespace perjoule {

[[nodiscard]] std::vector<config::CollectorSection> collector_sections();

// The settings of the collector's section. The collector power_model also gets its watts from efficiency.power_model.
[[nodiscard]] config::CollectorSettings collector_settings(const config::Settings& settings, std::string_view name);

}  // namespace perjoule
