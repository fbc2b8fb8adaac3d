// What the power model would use on this host, for who explains it (doctor).
#pragma once

#include <string>

#include "collectors/result.hpp"
#include "config/roots.hpp"

namespace perjoule {

// "SPECpower means of Skylake: 0.61 to 4.10 W per thread, +-50 %", and why where they are not the CPU's own. Reads
// /proc/cpuinfo: lanes and commands, not the loop.
[[nodiscard]] Result<std::string> describe_power_model(const Roots& roots);

}  // namespace perjoule
