// Derived metric families: time and energy of GPUs by state, idle waste, headroom below power limits, cost and
// emissions. Constants only; any thread.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule {

inline constexpr auto gpu_state_seconds = persisted_counter<Unit::second>(
    "perjoule_gpu_state_seconds_total",
    "Observed time of the GPU by state (deep_idle, parked, execution_idle, active), each second in exactly one. A "
    "state other than active is entered after its condition has held for efficiency.idle.enter_after.",
    "gpu", "uuid", "state");
inline constexpr auto gpu_state_energy = persisted_counter<Unit::joule>(
    "perjoule_gpu_state_energy_joules_total",
    "Energy of the GPU by state; every joule of perjoule_gpu_energy_joules_total is in exactly one.", "gpu", "uuid",
    "state");
inline constexpr auto gpu_deep_idle_power = gauge<Unit::watt>(
    "perjoule_gpu_deep_idle_watts",
    "Idle floor of the GPU: the 5th percentile of its power in deep idle over days, or the configured value; absent "
    "until known.",
    "gpu", "uuid");
inline constexpr auto gpu_energy_agreement = gauge<Unit::ratio>(
    "perjoule_gpu_energy_agreement_ratio",
    "Energy counter divided by the integral of instantaneous power over the last 10 minutes; 1 means that they agree.",
    "gpu", "uuid");
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
                      "Headroom below a power limit: the limit minus the largest power of the last 5 minutes (limit "
                      "gpu_enforced: the enforced limit of the GPU).",
                      "device", "limit", "gpu", "uuid");

inline constexpr auto energy_cost = persisted_counter<Unit::none>(
    "perjoule_energy_cost_total",
    "Cost of perjoule_node_energy_joules_total times the configured PUE, if any, at the price in force when the energy "
    "was used; modelled where the energy is modelled, absent until efficiency.electricity.price is set.",
    "currency");
inline constexpr auto energy_credit = persisted_counter<Unit::none>(
    "perjoule_energy_credit_total", "Credit for the node's energy at negative prices; the bill is cost minus credit.",
    "currency");
inline constexpr auto emissions = persisted_counter<Unit::gram>(
    "perjoule_emissions_grams_total",
    "CO2 equivalent of perjoule_node_energy_joules_total times the configured PUE, if any, at the configured carbon "
    "intensity; modelled where the energy is modelled, absent until efficiency.electricity.carbon is set.");
inline constexpr auto pue_configured =
    gauge<Unit::ratio>("perjoule_pue_configured_ratio",
                       "Power usage effectiveness of the facility as configured: a constant, not a measurement.");

}  // namespace perjoule
