// Metric families that a site publishes about its facility and its work in textfiles. With sensor_temperature these are
// all that a textfile may contain (vocabulary.cpp), but for those about the files themselves. Constants only.
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

inline constexpr auto textfile_valid = gauge<Unit::none>(
    "perjoule_textfile_valid",
    "1 if the series of a textfile are shown, 0 if it is refused or too old (the log and the page say "
    "why).",
    "file");
inline constexpr auto textfile_age = gauge<Unit::second>(
    "perjoule_textfile_age_seconds",
    "Time since a textfile was last written. One whose time of writing is in the future counts from "
    "when it was first seen as it is.",
    "file");

}  // namespace perjoule
