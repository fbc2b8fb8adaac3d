// Metric families of the ledger (energy by source, unobserved time) and of the sampler (state and counts of each
// source). Constants only; any thread.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule {

inline constexpr auto energy_by_source = persisted_counter<Unit::joule>(
    "perjoule_energy_by_source_joules_total",
    "Energy per device by how it was obtained: from a hardware counter, integrated "
    "power, or a model. gpu and uuid are empty where the device is no GPU. Do not sum over "
    "devices: the node includes its packages.",
    "device", "source", "gpu", "uuid");
inline constexpr auto energy_unobserved = persisted_counter<Unit::second>(
    "perjoule_energy_unobserved_seconds_total",
    "Time for which a device's energy is unknown: gaps in which a counter may have "
    "wrapped more than once, counter resets, reboots, and gaps in integrated power. gpu and "
    "uuid are empty where the device is no GPU.",
    "device", "gpu", "uuid");

inline constexpr auto source_state =
    gauge<Unit::none>("perjoule_source_state",
                      "State of a source and of each of its devices, one-hot: exactly one state is 1. gpu and uuid are "
                      "empty where the device is no GPU.",
                      "source", "device", "gpu", "uuid", "state");
inline constexpr auto source_items =
    gauge<Unit::none>("perjoule_source_items",
                      "Items of a source's device (sensors, zones, files, queries of the driver) at its last call, by "
                      "what became of them: ok, absent, denied, error, implausible. gpu and uuid are empty where the "
                      "device is no GPU.",
                      "source", "device", "gpu", "uuid", "state");
inline constexpr auto collector_last_success = gauge<Unit::second>(
    "perjoule_collector_last_success_timestamp_seconds",
    "Time of the source's last successful call, in seconds since the epoch.", "source", "device", "gpu", "uuid");
inline constexpr auto collector_duration =
    gauge<Unit::second>("perjoule_collector_duration_seconds", "Duration of the source's last completed call.",
                        "source", "device", "gpu", "uuid");
inline constexpr auto collector_faults = counter<Unit::none>(
    "perjoule_collector_faults_total", "Failed calls and items of a source, and readings rejected as implausible.",
    "source", "device", "gpu", "uuid");
inline constexpr auto collector_missed_ticks =
    counter<Unit::none>("perjoule_collector_missed_ticks_total",
                        "Due times skipped because the previous call had not returned or the daemon was late.",
                        "source", "device", "gpu", "uuid");

}  // namespace perjoule
