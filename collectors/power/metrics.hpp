// Families that several power drivers share. `source` says how a package's power became known: rapl (powercap counter),
// perf, modelled. A device is in one source at a time, so that sums over a family mean something.
#pragma once

#include "collectors/metric.hpp"
#include "collectors/sensor_metrics.hpp"

namespace perjoule {

inline constexpr auto cpu_package_energy = stored_to(
    0.1,
    persisted_counter<Unit::joule>(
        "perjoule_cpu_package_energy_joules_total",
        "Energy of a CPU package (cores, caches, memory controllers), from its RAPL counter (source rapl, about 1 ms "
        "updates). Source modelled: from utilisation and SPECpower means by Cloud Carbon Footprint, +-50 %; it is the "
        "package's share of a whole server (power supply, board, memory, fans).",
        "package", "source"));

inline constexpr auto cpu_package_power =
    stored_to(0.1, gauge<Unit::watt>("perjoule_cpu_package_power_watts",
                                     "Mean power of a CPU package since the sample before, from the same source as its "
                                     "energy; modelled it is the share "
                                     "of a whole server, +-50 %.",
                                     "package", "source"));

inline constexpr auto dram_energy = persisted_counter<Unit::joule>(
    "perjoule_dram_energy_joules_total",
    "Energy of the memory behind a package (RAPL dram); it lies outside the package's energy.", "package");

}  // namespace perjoule
