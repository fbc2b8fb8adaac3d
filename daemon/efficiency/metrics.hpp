// Families that are derived: what GPUs did with their time and energy, what is left of a limit, what energy costs.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule {

inline constexpr auto gpu_state_seconds = persisted_counter<Unit::second>(
    "perjoule_gpu_state_seconds_total",
    "Observed time of the GPU by state (deep_idle, parked, execution_idle, active): the states partition it. An idle "
    "state begins when it has held for efficiency.idle.enter_after, and ends at once.",
    "gpu", "uuid", "state");
inline constexpr auto gpu_state_energy = persisted_counter<Unit::joule>(
    "perjoule_gpu_state_energy_joules_total",
    "Energy of the GPU by state: the states partition perjoule_gpu_energy_joules_total.", "gpu", "uuid", "state");
inline constexpr auto gpu_deep_idle_power = gauge<Unit::watt>(
    "perjoule_gpu_deep_idle_watts",
    "The GPU's floor: the 5th percentile of its power in deep idle over days, or as configured; absent until known.",
    "gpu", "uuid");
inline constexpr auto gpu_energy_agreement = gauge<Unit::ratio>(
    "perjoule_gpu_energy_agreement_ratio",
    "The energy counter against the integral of the power readings over the last 10 minutes; 1 when they agree.", "gpu",
    "uuid");
inline constexpr auto idle_waste_energy = persisted_counter<Unit::joule>(
    "perjoule_idle_waste_joules_total",
    "Energy above the deep-idle floor while the GPU was parked or execution_idle; absent until the floor is known.",
    "gpu", "uuid");
inline constexpr auto idle_waste_power = gauge<Unit::watt>(
    "perjoule_idle_waste_watts",
    "Power above the deep-idle floor while the GPU is parked or execution_idle, 0 in the other states; absent until "
    "the floor is known.",
    "gpu", "uuid");
inline constexpr auto power_headroom =
    gauge<Unit::watt>("perjoule_power_headroom_watts",
                      "What is left below a limit: the limit less the largest power of the last 5 minutes (limit "
                      "gpu_enforced: of the GPU with that UUID).",
                      "device", "limit");

inline constexpr auto energy_cost = persisted_counter<Unit::none>(
    "perjoule_energy_cost_total",
    "Cost of perjoule_node_energy_joules_total (a modelled one costs a modelled amount), times the configured PUE "
    "where there is one, booked at the price of the time; absent until efficiency.electricity.price is set.",
    "currency");
inline constexpr auto energy_credit = persisted_counter<Unit::none>(
    "perjoule_energy_credit_total", "What negative prices paid for the node's energy; cost less credit is the bill.",
    "currency");
inline constexpr auto emissions = persisted_counter<Unit::gram>(
    "perjoule_emissions_grams_total",
    "CO2 equivalent of perjoule_node_energy_joules_total (modelled where that is) at the grid's average intensity, "
    "times the configured PUE where there is one; absent until efficiency.electricity.carbon is set.");
inline constexpr auto pue_configured =
    gauge<Unit::ratio>("perjoule_pue_configured_ratio",
                       "The facility's power usage effectiveness as configured: a constant, not a measurement.");

}  // namespace perjoule
