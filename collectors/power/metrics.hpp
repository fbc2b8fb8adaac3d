// Metric families that several power drivers share. The label `source` says how a package's power is known: rapl
// (powercap counter), perf, modelled. A package has one source at a time, so that a sum over the family counts it once.
// Constants only.
#pragma once

#include "collectors/metric.hpp"
#include "collectors/sensor_metrics.hpp"

namespace perjoule {

inline constexpr auto cpu_package_energy = stored_to(
    0.1, persisted_counter<Unit::joule>(
             "perjoule_cpu_package_energy_joules_total",
             "Energy of a CPU package (cores, caches, memory controllers), from its RAPL counter (source rapl, updated "
             "about every 1 ms; measured by Intel since Haswell-EP and a model before, by AMD for the whole socket; "
             "without voltage regulators, power supply and fans). Source modelled: the package's share of a whole "
             "server (power supply, board, memory, "
             "fans), from utilisation and SPECpower means by Cloud Carbon Footprint, +-50 %.",
             "package", "source"));

inline constexpr auto cpu_package_power =
    stored_to(0.1, gauge<Unit::watt>("perjoule_cpu_package_power_watts",
                                     "Mean power of a CPU package since the previous sample, from the same source as "
                                     "its energy. Source modelled: the package's share of a whole server, +-50 %.",
                                     "package", "source"));

inline constexpr auto dram_energy = persisted_counter<Unit::joule>(
    "perjoule_dram_energy_joules_total",
    "Energy of the memory attached to a package (RAPL dram); not included in the package's energy.", "package");

inline constexpr auto psys_energy = persisted_counter<Unit::joule>(
    "perjoule_psys_energy_joules_total",
    "Energy of the platform as its firmware measures it (RAPL psys); it includes packages and memory.", "package");

}  // namespace perjoule
