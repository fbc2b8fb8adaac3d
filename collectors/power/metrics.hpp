// Families that several power drivers share. `source` says how a package's power became known: rapl (powercap counter),
// perf, modelled. A device is in one source at a time, so that sums over a family mean something.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule {

inline constexpr auto cpu_package_energy = persisted_counter<Unit::joule>(
    "perjoule_cpu_package_energy_joules_total",
    "Energy of a CPU package (cores, caches, memory controllers), from its RAPL counter (source rapl, about 1 ms "
    "updates) or modelled from utilisation (source modelled).",
    "package", "source");

inline constexpr auto cpu_package_power = gauge<Unit::watt>(
    "perjoule_cpu_package_power_watts",
    "Mean power of a CPU package since the sample before, from the same source as its energy.", "package", "source");

inline constexpr auto sensor_power = gauge<Unit::watt>(
    "perjoule_sensor_power_watts",
    "Power as a sensor chip reports it (hwmon powerN_input or powerN_average, or a board's own counters). Not additive "
    "over roles: a node's inlet holds what its parts use.",
    "chip", "sensor", "role");

inline constexpr auto sensor_energy =
    persisted_counter<Unit::joule>("perjoule_sensor_energy_joules_total",
                                   "Energy of a sensor: the chip's own counter (hwmon energyN_input) where it has one, "
                                   "else the integral of its power. "
                                   "Not additive over roles.",
                                   "chip", "sensor", "role");

}  // namespace perjoule
