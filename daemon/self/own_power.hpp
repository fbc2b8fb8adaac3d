// What a busy CPU of this host adds to its power: the daemon's own energy is modelled from it.
#pragma once

#include "config/settings.hpp"

namespace perjoule {

// Watts per busy hardware thread above idle: from efficiency.power_model where it is configured, else by the published
// coefficients of the CPU's family (collectors/power/coefficients.hpp). 0 where the CPU cannot be told. Reads
// /proc/cpuinfo: once, at the start.
[[nodiscard]] double watts_per_busy_cpu(const config::Settings& settings);

}  // namespace perjoule
