// The daemon's own families: what the ledger, the sampler and the daemon itself show beside the collectors' metrics.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule {

inline constexpr auto energy_by_source =
    persisted_counter<Unit::joule>("perjoule_energy_by_source_joules_total",
                                   "Energy booked per device by how it became known: a hardware counter, integrated "
                                   "power, or a model. Not additive over devices: "
                                   "the node holds its packages.",
                                   "device", "source");
inline constexpr auto energy_unobserved =
    persisted_counter<Unit::second>("perjoule_energy_unobserved_seconds_total",
                                    "Time for which a device's energy could not be booked: gaps longer than a "
                                    "counter's wrap, resets, restarts of an integrated source.",
                                    "device");

inline constexpr auto source_state = gauge<Unit::none>(
    "perjoule_source_state", "State of a source and of each of its devices, one-hot: exactly one state is 1.", "source",
    "device", "state");
inline constexpr auto collector_last_success =
    gauge<Unit::second>("perjoule_collector_last_success_timestamp_seconds",
                        "When the source last delivered, in seconds since the epoch.", "source", "device");
inline constexpr auto collector_duration = gauge<Unit::second>(
    "perjoule_collector_duration_seconds", "How long the source's last call took.", "source", "device");
inline constexpr auto collector_faults = counter<Unit::none>(
    "perjoule_collector_faults_total", "Calls and items of a source that failed, and values that no hardware can mean.",
    "source", "device");
inline constexpr auto collector_missed_ticks = counter<Unit::none>(
    "perjoule_collector_missed_ticks_total",
    "Due times that passed without a call: the one before was not back, or the daemon was late.", "source", "device");

}  // namespace perjoule
