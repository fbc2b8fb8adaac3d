// What the power model would use on this host, for `perjouled doctor`. The model itself is power_model.cpp.
#pragma once

#include <string>

#include "collectors/result.hpp"
#include "config/roots.hpp"

namespace perjoule {

// "SPECpower means of Skylake: 0.61 to 4.10 W per thread, +-50 %", and the reason if they are not this CPU's own. Reads
// /proc/cpuinfo: lanes and commands, not the loop. Error: /proc/cpuinfo could not be read.
[[nodiscard]] Result<std::string> describe_power_model(const Roots& roots);

}  // namespace perjoule
