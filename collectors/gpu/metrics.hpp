// Families that several GPU drivers share. `gpu` is the slot (PCI order, kept in the ledger: it does not move when a
// board dies), `uuid` the board. A family is absent for a board that cannot say it, never 0.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule {

inline constexpr auto gpu_info = gauge<Unit::none>("perjoule_gpu_info", "What the GPU is; always 1.", "gpu", "uuid",
                                                   "name", "vendor", "driver_version", "vbios_version", "pci_bus_id");

inline constexpr auto gpu_energy = persisted_counter<Unit::joule>(
    "perjoule_gpu_energy_joules_total",
    "Energy of the board from its own counter (NVML total energy, in mJ since the driver was loaded); integrated power "
    "where it has none, see perjoule_energy_by_source_joules_total.",
    "gpu", "uuid");

inline constexpr auto gpu_power = gauge<Unit::watt>(
    "perjoule_gpu_power_watts",
    "Power of the board: the driver's mean over one second where it has one (NVML, Ampere and later except A100), else "
    "the energy counter's mean over 10 s, else a reading of the moment; +-5 % by the vendor.",
    "gpu", "uuid");
inline constexpr auto gpu_power_instant = gauge<Unit::watt>(
    "perjoule_gpu_power_instant_watts",
    "Power of the board at a moment, as the driver samples it (25 ms of each 100 ms on H100): see the peaks here, not "
    "the energy.",
    "gpu", "uuid");
inline constexpr auto gpu_module_power = gauge<Unit::watt>(
    "perjoule_gpu_module_power_watts",
    "Power of the whole module (Grace Hopper and later: CPU, GPU, memory); it holds perjoule_gpu_power_watts.", "gpu",
    "uuid");

inline constexpr auto gpu_power_limit =
    gauge<Unit::watt>("perjoule_gpu_power_limit_watts",
                      "Power limit that is enforced now: the lowest of all that were set.", "gpu", "uuid");
inline constexpr auto gpu_power_limit_default = gauge<Unit::watt>(
    "perjoule_gpu_power_limit_default_watts", "Power limit of the board as it was made.", "gpu", "uuid");
inline constexpr auto gpu_power_limit_min =
    gauge<Unit::watt>("perjoule_gpu_power_limit_min_watts", "Lowest power limit that can be set.", "gpu", "uuid");
inline constexpr auto gpu_power_limit_max =
    gauge<Unit::watt>("perjoule_gpu_power_limit_max_watts", "Highest power limit that can be set.", "gpu", "uuid");

inline constexpr auto gpu_temperature = gauge<Unit::celsius>(
    "perjoule_gpu_temperature_celsius", "Temperature of the GPU's core or of its memory.", "gpu", "uuid", "sensor");
inline constexpr auto gpu_temperature_limit =
    gauge<Unit::celsius>("perjoule_gpu_temperature_limit_celsius",
                         "Temperature at which the GPU slows down, shuts down, or beyond which it should not work.",
                         "gpu", "uuid", "sensor", "limit");
inline constexpr auto gpu_thermal_margin = gauge<Unit::celsius>(
    "perjoule_gpu_thermal_margin_celsius",
    "Distance to the first slowdown by the hardware, as the driver says it (T.Limit, Ada and later), else the slowdown "
    "threshold less the core's temperature.",
    "gpu", "uuid");

inline constexpr auto gpu_utilization = gauge<Unit::ratio>(
    "perjoule_gpu_utilization_ratio",
    "Share of the driver's last sample period (1/6 to 1 s) in which a kernel ran, however small it was.", "gpu",
    "uuid");
inline constexpr auto gpu_engine_utilization = gauge<Unit::ratio>(
    "perjoule_gpu_engine_utilization_ratio",
    "Share of the driver's sample period in which an engine worked (memory: its interface was read or written).", "gpu",
    "uuid", "engine");
inline constexpr auto gpu_processes =
    gauge<Unit::none>("perjoule_gpu_processes", "Compute processes that hold the GPU now.", "gpu", "uuid");

inline constexpr auto gpu_memory_used = gauge<Unit::byte>(
    "perjoule_gpu_memory_used_bytes",
    "Memory of the GPU that is in use, without what the driver reserves where it tells them apart.", "gpu", "uuid");
inline constexpr auto gpu_memory_total =
    gauge<Unit::byte>("perjoule_gpu_memory_total_bytes", "Memory of the GPU.", "gpu", "uuid");

inline constexpr auto gpu_clock =
    gauge<Unit::hertz>("perjoule_gpu_clock_hertz", "Clock of a domain of the GPU now.", "gpu", "uuid", "domain");
inline constexpr auto gpu_clock_idle = gauge<Unit::none>(
    "perjoule_gpu_clock_idle_active",
    "1 while the driver keeps the clocks low because nothing runs (clocks event reason GpuIdle).", "gpu", "uuid");

inline constexpr auto gpu_throttle_active = gauge<Unit::none>(
    "perjoule_gpu_throttle_active",
    "1 while the reason holds the clocks down. Reasons overlap: not additive over them.", "gpu", "uuid", "reason");
inline constexpr auto gpu_throttle_seconds = persisted_counter<Unit::second>(
    "perjoule_gpu_throttle_seconds_total",
    "Time for which the reason held the clocks down, from the driver's own counters. Reasons overlap: not additive "
    "over them.",
    "gpu", "uuid", "reason");
inline constexpr auto gpu_throttled_seconds = persisted_counter<Unit::second>(
    "perjoule_gpu_throttled_seconds_total",
    "Time for which any reason held the clocks down, only where the driver counts it.", "gpu", "uuid");

inline constexpr auto gpus = gauge<Unit::none>("perjoule_gpus", "GPUs that answer now.");
inline constexpr auto gpus_expected =
    gauge<Unit::none>("perjoule_gpus_expected",
                      "GPUs that should answer: the greatest of what is configured, what the inventory knows, and what "
                      "is on the PCI bus; "
                      "lowered only by the configuration or by perjouled accept-inventory.");

}  // namespace perjoule
