// Metric families of the host's processors that the daemon reads too. Constants only.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule {

inline constexpr auto cpu_utilization = gauge<Unit::ratio>(
    "perjoule_cpu_utilization_ratio",
    "Share of time since the previous sample in which the package's online CPUs were neither idle nor waiting for I/O, "
    "from /proc/stat.",
    "package");
inline constexpr auto cpu_clock = gauge<Unit::hertz>(
    "perjoule_cpu_clock_hertz",
    "Mean clock of the package's online CPUs, from cpufreq scaling_cur_freq, else from /proc/cpuinfo.", "package");

}  // namespace perjoule
