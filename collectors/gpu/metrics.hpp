// Metric families that several GPU drivers share. The label `gpu` is the slot (collectors/inventory.hpp), `uuid` the
// identity that the board itself reports. Constants only.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule {

inline constexpr auto gpu_info =
    gauge<Unit::none>("perjoule_gpu_info",
                      "Model, driver, VBIOS and PCI address of a GPU, as labels; the value is always 1. The address is "
                      "written as the kernel writes it (0000:1b:00.0).",
                      "gpu", "uuid", "name", "vendor", "driver_version", "vbios_version", "pci_bus_id");

inline constexpr auto gpu_power =
    stored_to(0.1, gauge<Unit::watt>("perjoule_gpu_power_watts",
                                     "Power of a GPU board: the driver's one-second mean where it has one (NVML field "
                                     "185; nvmlDeviceGetPowerUsage on Ampere and newer except GA100), else the mean "
                                     "over 10 s from the energy counter, else the instantaneous reading. NVIDIA "
                                     "states an accuracy of +-5 %, a gain error that is constant for a board. Meters "
                                     "found -5.5 to -5.8 % on A100 PCIe, -7.4 % on RTX 3090 (its instantaneous reading "
                                     "-4.5 to -5.5 %), -5.2 % on RTX 4090, -7.9 % on RTX 2080 Ti, -0.3 to +12.8 % on "
                                     "others before Ampere (arXiv 2312.02741); for H100 and newer none is published.",
                                     "gpu", "uuid"));
inline constexpr auto gpu_power_instant = stored_to(
    0.1,
    gauge<Unit::watt>("perjoule_gpu_power_instant_watts",
                      "Instantaneous power of a GPU board (NVML field 186; nvmlDeviceGetPowerUsage on GA100 and "
                      "before Ampere). On H100 and A100 it covers 25 of every 100 ms, a quarter of the time: do not "
                      "integrate it. On Volta it covers 10 of every 20 ms, on Turing, Ada and other Ampere boards "
                      "all of 100 ms (arXiv 2312.02741).",
                      "gpu", "uuid"));
inline constexpr auto gpu_module_power =
    stored_to(0.1, gauge<Unit::watt>("perjoule_gpu_module_power_watts",
                                     "Power of the module with GPU, CPU and memory (Grace Hopper and newer; NVML field "
                                     "186, scope 1). It includes perjoule_gpu_power_watts: never add the two.",
                                     "gpu", "uuid"));
inline constexpr auto gpu_power_limit = gauge<Unit::watt>(
    "perjoule_gpu_power_limit_watts",
    "Power limit in force, including limits set out of band (NVML field 190, or nvmlDeviceGetEnforcedPowerLimit).",
    "gpu", "uuid");
inline constexpr auto gpu_power_limit_default = gauge<Unit::watt>(
    "perjoule_gpu_power_limit_default_watts", "Default power limit of the board (NVML field 189).", "gpu", "uuid");
inline constexpr auto gpu_power_limit_min = gauge<Unit::watt>(
    "perjoule_gpu_power_limit_min_watts", "Smallest power limit that can be set (NVML field 187).", "gpu", "uuid");
inline constexpr auto gpu_power_limit_max = gauge<Unit::watt>(
    "perjoule_gpu_power_limit_max_watts", "Largest power limit that can be set (NVML field 188).", "gpu", "uuid");
inline constexpr auto gpu_energy =
    stored_to(1, persisted_counter<Unit::joule>(
                     "perjoule_gpu_energy_joules_total",
                     "Energy of a GPU board, from the driver's counter where it has one (NVML field 83, updated every "
                     "20 to 100 ms), else the integral of perjoule_gpu_power_watts; the label source of "
                     "perjoule_energy_by_source_joules_total says which. NVIDIA states no accuracy for the counter: "
                     "perjoule_gpu_energy_agreement_ratio compares it with the power readings.",
                     "gpu", "uuid"));

inline constexpr auto gpu_temperature = gauge<Unit::celsius>(
    "perjoule_gpu_temperature_celsius", "Temperature of a GPU: sensor core, and sensor memory where the board has one.",
    "gpu", "uuid", "sensor");
inline constexpr auto gpu_temperature_limit = gauge<Unit::celsius>(
    "perjoule_gpu_temperature_limit_celsius",
    "Temperature at which a GPU slows down, shuts down or exceeds its operating range. Absent where the driver reports "
    "only margins (newer boards): see perjoule_gpu_thermal_margin_celsius.",
    "gpu", "uuid", "sensor", "limit");
inline constexpr auto gpu_thermal_margin =
    gauge<Unit::celsius>("perjoule_gpu_thermal_margin_celsius",
                         "Degrees left until the first hardware slowdown: the driver's margin (T.Limit) minus the "
                         "margin at which the GPU slows down, else the slowdown temperature minus the core's.",
                         "gpu", "uuid");

inline constexpr auto gpu_utilization = gauge<Unit::ratio>("perjoule_gpu_utilization_ratio",
                                                           "Share of the driver's last sample period (1/6 to 1 s) in "
                                                           "which at least one kernel ran. It does not say how much "
                                                           "of the GPU the kernels used.",
                                                           "gpu", "uuid");
inline constexpr auto gpu_engine_utilization = gauge<Unit::ratio>(
    "perjoule_gpu_engine_utilization_ratio",
    "Share of the driver's last sample period in which an engine was busy: memory (reads or writes), encoder, decoder, "
    "jpeg, ofa (optical flow).",
    "gpu", "uuid", "engine");
inline constexpr auto gpu_memory_used = gauge<Unit::byte>(
    "perjoule_gpu_memory_used_bytes",
    "Memory allocated on a GPU, without the driver's reserve (drivers before 510 include it).", "gpu", "uuid");
inline constexpr auto gpu_memory_total =
    gauge<Unit::byte>("perjoule_gpu_memory_total_bytes", "Size of a GPU's memory.", "gpu", "uuid");
inline constexpr auto gpu_clock = gauge<Unit::hertz>(
    "perjoule_gpu_clock_hertz", "Clock of a GPU's domain sm, memory or video at the time of the sample.", "gpu", "uuid",
    "domain");

inline constexpr auto gpu_throttle_active =
    gauge<Unit::none>("perjoule_gpu_throttle_active",
                      "1 if the reason held a GPU's clocks down at the time of the sample, else 0. Reasons overlap: do "
                      "not sum.",
                      "gpu", "uuid", "reason");
inline constexpr auto gpu_throttle_seconds = persisted_counter<Unit::second>(
    "perjoule_gpu_throttle_seconds_total",
    "Time in which the reason held a GPU's clocks down; reasons overlap: do not sum. Counted by the driver: "
    "sw_power_cap, "
    "sync_boost, board_limit, reliability and thermal (all thermal reasons), and with drivers 575 to 610 sw_thermal, "
    "hw_thermal and hw_power_brake. Those three with other drivers, hw_slowdown (older boards have it instead of the "
    "last two), and the others where the driver has no counter, are integrated from samples: shorter spells are "
    "missed.",
    "gpu", "uuid", "reason");
inline constexpr auto gpu_throttled_seconds =
    persisted_counter<Unit::second>("perjoule_gpu_throttled_seconds_total",
                                    "Time in which any limiter held a GPU below its application clocks, as the driver "
                                    "counts it (NVML field 80). Drivers that treat low utilisation as a limiter also "
                                    "count idle time.",
                                    "gpu", "uuid");

inline constexpr auto gpu_processes =
    gauge<Unit::none>("perjoule_gpu_processes", "Processes that have a compute context on a GPU.", "gpu", "uuid");
inline constexpr auto gpu_holding_processes =
    gauge<Unit::none>("perjoule_gpu_holding_processes",
                      "Processes that hold a GPU: those of perjoule_gpu_processes without the host's own services "
                      "(efficiency.idle.ignore_processes).",
                      "gpu", "uuid");
inline constexpr auto gpu_clock_idle = gauge<Unit::none>("perjoule_gpu_clock_idle_active",
                                                         "1 if the driver reports that nothing runs on a GPU and its "
                                                         "clocks are lowered for that reason (clocks event reason "
                                                         "GpuIdle), else 0.",
                                                         "gpu", "uuid");

inline constexpr auto gpu_runtime_suspended = gauge<Unit::none>(
    "perjoule_gpu_runtime_suspended",
    "1 while the kernel has a GPU runtime-suspended, else 0. A suspended GPU is not read, because that would wake it: "
    "its other series are absent meanwhile.",
    "gpu", "uuid");

inline constexpr auto gpus =
    gauge<Unit::none>("perjoule_gpus", "GPUs that answer now, including those that are runtime-suspended.");
inline constexpr auto gpus_expected =
    gauge<Unit::none>("perjoule_gpus_expected",
                      "GPUs that should answer: the configured number, else the most that have answered or were on the "
                      "PCI bus at once; perjouled accept-inventory makes it those that answer now.");

inline constexpr auto gpu_lost = gauge<Unit::none>(
    "perjoule_gpu_lost",
    "1 if a GPU of this host is lost, else 0: its driver says so, or it has not answered for 3 min. Absent after a "
    "start until it is known. GPUs keep this series until perjouled accept-inventory.",
    "gpu", "uuid", "pci_bus_id");
inline constexpr auto gpus_unseen = gauge<Unit::none>(
    "perjoule_gpus_unseen",
    "GPUs that are expected by their number only: perjoule_gpus_expected minus those that have a slot "
    "number, and so a series of perjoule_gpu_lost.");

}  // namespace perjoule
