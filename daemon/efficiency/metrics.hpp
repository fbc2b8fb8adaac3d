// Derived metric families: time and energy of GPUs and of the node by state, idle waste, headroom below power limits,
// cost and emissions. Constants only; any thread.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule {

inline constexpr auto gpu_state_seconds = persisted_counter<Unit::second>(
    "perjoule_gpu_state_seconds_total",
    "Observed time of the GPU by state (asleep, deep_idle, parked, execution_idle, spinning, active), each second in "
    "exactly one. A state other than active and asleep is entered after its condition has held for "
    "efficiency.idle.enter_after. Absent where the driver says nothing that decides.",
    "gpu", "uuid", "state");
inline constexpr auto gpu_state_energy = persisted_counter<Unit::joule>(
    "perjoule_gpu_state_energy_joules_total",
    "Energy of the GPU by state; every joule of perjoule_gpu_energy_joules_total is in exactly one. Absent where the "
    "driver says nothing that decides.",
    "gpu", "uuid", "state");
inline constexpr auto gpu_deep_idle_power = gauge<Unit::watt>(
    "perjoule_gpu_deep_idle_watts",
    "Idle floor of the GPU, by source: configured; learnt (the 5th percentile of its own power in deep idle over "
    "days); sister (what GPUs of the same model and power limit on this host have learned); assumed (public "
    "captures of the model, +-20 %). Absent where none of them is known.",
    "gpu", "uuid", "source");
inline constexpr auto node_state_energy = persisted_counter<Unit::joule>(
    "perjoule_node_state_energy_joules_total",
    "Energy of the node by what its GPUs do: active (one of them is), held_idle (none is active, a process holds one), "
    "free (none is held). Every joule of perjoule_node_energy_joules_total since the states of its GPUs are known is "
    "in exactly one. Absent on a node without GPUs.",
    "state");
inline constexpr auto gpu_energy_agreement = gauge<Unit::ratio>(
    "perjoule_gpu_energy_agreement_ratio",
    "Energy counter divided by the integral of instantaneous power over the last 10 minutes; 1 means that they agree.",
    "gpu", "uuid");
inline constexpr auto idle_waste_energy =
    persisted_counter<Unit::joule>("perjoule_idle_waste_joules_total",
                                   "Energy above the idle floor while the GPU was parked, execution_idle or spinning; "
                                   "absent until the floor is known. "
                                   "perjoule_gpu_deep_idle_watts says how the floor is known.",
                                   "gpu", "uuid");
inline constexpr auto idle_waste_power = gauge<Unit::watt>(
    "perjoule_idle_waste_watts",
    "Power above the idle floor while the GPU is parked, execution_idle or spinning, 0 in the other states; absent "
    "until the floor is known.",
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
