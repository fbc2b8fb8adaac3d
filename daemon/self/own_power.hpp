// The power that one busy CPU adds, from which the daemon models its own energy. Any thread; reads one file of /proc.
#pragma once

#include "config/settings.hpp"

namespace perjoule {

// Watts per busy hardware thread above idle: from efficiency.power_model if idle and max are configured, else from the
// published coefficients of the CPU's microarchitecture (collectors/power/coefficients.hpp). 0 if cpuinfo cannot be
// read. Called at the start and after a reload.
[[nodiscard]] double watts_per_busy_cpu(const config::Settings& settings);

}  // namespace perjoule
