// Metric families that a site publishes about its facility and its work in textfiles. With sensor_temperature these are
// all that a textfile may contain (vocabulary.cpp). Constants only.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule {

inline constexpr auto facility_power = gauge<Unit::watt>(
    "perjoule_facility_power_watts",
    "Power of the facility by category, from the site's textfile. Do not sum: a category may include others.",
    "category");

inline constexpr auto circuit_current = gauge<Unit::ampere>(
    "perjoule_circuit_current_amperes",
    "Current of one phase of a rack's feed (root mean square), from the site's textfile.", "rack", "feed", "phase");

inline constexpr auto circuit_rating = gauge<Unit::ampere>(
    "perjoule_circuit_rating_amperes",
    "Rated current of the breaker of one phase of a rack's feed, from the site's textfile.", "rack", "feed", "phase");

inline constexpr auto phase_imbalance =
    gauge<Unit::ratio>("perjoule_phase_imbalance_ratio",
                       "Largest deviation of a phase's current from the mean of the feed's phases, divided by that "
                       "mean, from the site's textfile.",
                       "rack", "feed");

inline constexpr auto work = persisted_counter<Unit::none>(
    "perjoule_work_total",
    "Work done since perjoule first read it (the label kind says what: steps, samples, frames), from a counter in a "
    "textfile. A restart of that counter does not reduce the total. A total that is not read for "
    "storage.retention.hour may be deleted, and then starts at 0.",
    "workload", "kind");

}  // namespace perjoule
