// What a site tells about itself and about its work in textfiles: the published vocabulary.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule {

inline constexpr auto facility_power = gauge<Unit::watt>(
    "perjoule_facility_power_watts",
    "Power of the facility by category, as the site's textfile gives it. Not additive: a category may hold others.",
    "category");

inline constexpr auto circuit_current =
    gauge<Unit::ampere>("perjoule_circuit_current_amperes",
                        "Current of one phase of a rack's feed (root mean square), as the site's textfile gives it.",
                        "rack", "feed", "phase");

inline constexpr auto circuit_rating =
    gauge<Unit::ampere>("perjoule_circuit_rating_amperes",
                        "Rated current of the breaker of one phase of a rack's feed, as the site's textfile gives it.",
                        "rack", "feed", "phase");

inline constexpr auto phase_imbalance =
    gauge<Unit::ratio>("perjoule_phase_imbalance_ratio",
                       "Largest distance of a phase's current from the mean of the feed's phases, over that mean, as "
                       "the site's textfile gives it.",
                       "rack", "feed");

inline constexpr auto work = persisted_counter<Unit::none>(
    "perjoule_work_total",
    "Work done since perjoule first saw it (steps, samples, frames: `kind` says what), counted from a textfile's "
    "counter; a restart of that counter loses nothing that was counted before.",
    "workload", "kind");

}  // namespace perjoule
