// Families that several GPU drivers share. `gpu` is the slot (collectors/inventory.hpp), `uuid` the board's own
// identity.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule {

inline constexpr auto gpu_info =
    gauge<Unit::none>("perjoule_gpu_info", "What a GPU is; always 1. The address is the kernel's.", "gpu", "uuid",
                      "name", "vendor", "driver_version", "vbios_version", "pci_bus_id");

inline constexpr auto gpu_power =
    stored_to(0.1, gauge<Unit::watt>("perjoule_gpu_power_watts",
                                     "Power of a GPU's board: the driver's one-second mean where it has one (NVML "
                                     "field 185; nvmlDeviceGetPowerUsage on "
                                     "Ampere and newer, not on GA100), else the energy counter's mean over 10 s, else "
                                     "the instantaneous reading. NVIDIA "
                                     "states +-5 % of the reading, a gain error that stays with the board.",
                                     "gpu", "uuid"));
inline constexpr auto gpu_power_instant = stored_to(
    0.1, gauge<Unit::watt>("perjoule_gpu_power_instant_watts",
                           "Power of a GPU's board at one moment (NVML field 186; nvmlDeviceGetPowerUsage on GA100 and "
                           "before Ampere). It sees "
                           "25 of 100 ms on H100 and A100: do not sum it over time.",
                           "gpu", "uuid"));
inline constexpr auto gpu_module_power =
    stored_to(0.1, gauge<Unit::watt>("perjoule_gpu_module_power_watts",
                                     "Power of the module that holds the GPU, its CPU and memory (Grace Hopper and "
                                     "newer; NVML field 186, scope 1). It "
                                     "contains the GPU's own power: never add the two.",
                                     "gpu", "uuid"));
inline constexpr auto gpu_power_limit = gauge<Unit::watt>(
    "perjoule_gpu_power_limit_watts",
    "Power limit in force, out-of-band limits included (NVML field 190, or the enforced limit).", "gpu", "uuid");
inline constexpr auto gpu_power_limit_default = gauge<Unit::watt>(
    "perjoule_gpu_power_limit_default_watts", "Power limit that the board ships with (NVML field 189).", "gpu", "uuid");
inline constexpr auto gpu_power_limit_min = gauge<Unit::watt>(
    "perjoule_gpu_power_limit_min_watts", "Least power limit that may be set (NVML field 187).", "gpu", "uuid");
inline constexpr auto gpu_power_limit_max = gauge<Unit::watt>(
    "perjoule_gpu_power_limit_max_watts", "Largest power limit that may be set (NVML field 188).", "gpu", "uuid");
inline constexpr auto gpu_energy =
    stored_to(1, persisted_counter<Unit::joule>(
                     "perjoule_gpu_energy_joules_total",
                     "Energy of a GPU's board, from the driver's own counter (NVML field 83, steps of 20 to 100 ms) "
                     "where it has one, "
                     "else "
                     "the integral of perjoule_gpu_power_watts; perjoule_energy_by_source_joules_total says which.",
                     "gpu", "uuid"));

inline constexpr auto gpu_temperature = gauge<Unit::celsius>(
    "perjoule_gpu_temperature_celsius", "Temperature of a GPU: its core, and its memory where there is a sensor.",
    "gpu", "uuid", "sensor");
inline constexpr auto gpu_temperature_limit = gauge<Unit::celsius>(
    "perjoule_gpu_temperature_limit_celsius",
    "Temperature at which a GPU slows down, shuts down or leaves its range of operation. Absent where the driver names "
    "only margins (newer boards): see perjoule_gpu_thermal_margin_celsius.",
    "gpu", "uuid", "sensor", "limit");
inline constexpr auto gpu_thermal_margin =
    gauge<Unit::celsius>("perjoule_gpu_thermal_margin_celsius",
                         "Distance to the first hardware slowdown: the driver's margin (T.Limit) less the margin at "
                         "which it slows down, else "
                         "the slowdown temperature less the core's.",
                         "gpu", "uuid");

inline constexpr auto gpu_utilization = gauge<Unit::ratio>("perjoule_gpu_utilization_ratio",
                                                           "Share of the driver's last sample period (1/6 to 1 s) in "
                                                           "which a kernel ran. It says nothing about how much of the "
                                                           "GPU that kernel used.",
                                                           "gpu", "uuid");
inline constexpr auto gpu_engine_utilization = gauge<Unit::ratio>(
    "perjoule_gpu_engine_utilization_ratio",
    "Share of the driver's last sample period in which an engine was busy: memory (reads or writes), encoder, decoder, "
    "jpeg, ofa (optical flow).",
    "gpu", "uuid", "engine");
inline constexpr auto gpu_memory_used = gauge<Unit::byte>(
    "perjoule_gpu_memory_used_bytes",
    "Memory that is allocated on a GPU, without the driver's reserve (with it on drivers before 510).", "gpu", "uuid");
inline constexpr auto gpu_memory_total =
    gauge<Unit::byte>("perjoule_gpu_memory_total_bytes", "Memory of a GPU.", "gpu", "uuid");
inline constexpr auto gpu_clock = gauge<Unit::hertz>(
    "perjoule_gpu_clock_hertz", "Clock of a GPU's domain at the sampling: sm, memory, video.", "gpu", "uuid", "domain");

inline constexpr auto gpu_throttle_active =
    gauge<Unit::none>("perjoule_gpu_throttle_active",
                      "1 while the reason holds a GPU's clocks down, at the sampling. Reasons overlap: not additive.",
                      "gpu", "uuid", "reason");
inline constexpr auto gpu_throttle_seconds = persisted_counter<Unit::second>(
    "perjoule_gpu_throttle_seconds_total",
    "Time in which the reason held a GPU's clocks down. sw_power_cap, sync_boost, board_limit, reliability and thermal "
    "(every thermal reason) are the driver's own counters. sw_thermal, hw_thermal, hw_power_brake and hw_slowdown "
    "(older "
    "boards' word for the last two), and the others where the driver counts nothing, are the time between samplings "
    "that "
    "saw the reason: shorter spells are missed. Reasons overlap: not additive.",
    "gpu", "uuid", "reason");
inline constexpr auto gpu_throttled_seconds =
    persisted_counter<Unit::second>("perjoule_gpu_throttled_seconds_total",
                                    "Time in which any limiter held a GPU below its application clocks, as the driver "
                                    "counts it (NVML field 80). Drivers "
                                    "that count low utilisation as a limiter count idle time too.",
                                    "gpu", "uuid");

inline constexpr auto gpu_processes =
    gauge<Unit::none>("perjoule_gpu_processes", "Processes that hold a compute context on a GPU.", "gpu", "uuid");
inline constexpr auto gpu_clock_idle = gauge<Unit::none>(
    "perjoule_gpu_clock_idle_active",
    "1 while the driver says that nothing runs on a GPU and its clocks are down for that reason (clocks event reason "
    "GpuIdle).",
    "gpu", "uuid");

inline constexpr auto gpus = gauge<Unit::none>("perjoule_gpus", "GPUs that answer now, those that sleep included.");
inline constexpr auto gpus_expected = gauge<Unit::none>(
    "perjoule_gpus_expected",
    "GPUs that should answer: the greatest of what is configured, what was ever seen together, and what stands on the "
    "PCI bus; lowered only by the configuration or by perjouled accept-inventory.");

}  // namespace perjoule
