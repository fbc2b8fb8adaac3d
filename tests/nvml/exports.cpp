// The functions of libnvidia-ml.so.1 that perjoule calls, answered from the scenario.
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "tests/nvml/player.hpp"

using namespace perjoule::nvml;
using perjoule::stand_in::Answer;
using perjoule::stand_in::Gpu;
using perjoule::stand_in::Player;
using perjoule::stand_in::player;

namespace {

template <class Integer>
Integer raw(const Answer& answer, double scale) {
  const double scaled = std::round(answer.value * scale);
  constexpr auto most = std::numeric_limits<Integer>::max();
  constexpr auto least = std::numeric_limits<Integer>::min();
  if (answer.not_available || scaled >= static_cast<double>(most))
    return std::is_signed_v<Integer> ? Integer(-1) : most;
  return scaled <= static_cast<double>(least) ? least : static_cast<Integer>(scaled);
}

// One number of a board: the quantity `key` of the scenario now, times `scale` for NVML's unit.
template <class Integer>
Return number(Device device, const char* key, double scale, Integer* to) {
  const Player::Account account(player());
  if (to == nullptr) return Return::invalid_argument;
  const Gpu* gpu = nullptr;
  if (const Return result = player().enter(device, gpu); result != Return::success) return result;
  const Answer answer = gpu->curve(key).at(player().now());
  if (answer.error != 0) return static_cast<Return>(answer.error);
  *to = raw<Integer>(answer, scale);
  return Return::success;
}

Return text(const std::string& from, char* to, std::uint32_t size) {
  if (to == nullptr) return Return::invalid_argument;
  if (from.size() + 1 > size) return Return::insufficient_size;
  std::memcpy(to, from.c_str(), from.size() + 1);
  return Return::success;
}

Return text_of(Device device, std::string Gpu::*member, char* to, std::uint32_t size) {
  const Player::Account account(player());
  const Gpu* gpu = nullptr;
  if (const Return result = player().enter(device, gpu); result != Return::success) return result;
  return (gpu->*member).empty() ? Return::not_supported : text(gpu->*member, to, size);
}

Return engine(Device device, const char* key, std::uint32_t* percent, std::uint32_t* period_us) {
  if (period_us != nullptr) *period_us = 167'000;
  return number(device, key, 100, percent);
}

// The driver's mean over the last second.
Answer mean_power(const Gpu& gpu, double time) {
  if (gpu.has("power_average")) return gpu.curve("power_average").at(time);
  const Answer now = gpu.curve("power").at(time);
  if (now.error != 0 || now.not_available || time < 1) return now;
  return {gpu.curve("power").integral(time) - gpu.curve("power").integral(time - 1), 0, false};
}

// The instantaneous reading, which the driver updates every 0.1 s.
Answer instant_power(const Gpu& gpu, double time) {
  if (gpu.has("power_instant")) return gpu.curve("power_instant").at(time);
  return gpu.curve("power").at(std::floor(time * 10) / 10);
}

const char* throttle_key(std::uint32_t field_id) {
  switch (field_id) {
    case field::policy_power:
      return "sw_power_cap";
    case field::policy_thermal:
      return "thermal";
    case field::policy_sync_boost:
      return "sync_boost";
    case field::policy_board_limit:
      return "board_limit";
    case field::policy_reliability:
      return "reliability";
    case field::policy_any:
      return "any";
    default:
      return nullptr;
  }
}

// Where this driver has the times of three more reasons; 0: nowhere.
std::uint32_t first_reason_field() {
  const int branch = std::atoi(player().scenario().driver_version.c_str());
  return branch >= 590 ? 269 : branch >= 575 ? 251 : 0;
}

void set(FieldValue& value, ValueType type, const Answer& answer, double scale) {
  value.result = static_cast<Return>(answer.error);
  value.type = type;
  value.value.unsigned_long_long = 0;
  if (answer.error != 0) return;
  if (type == ValueType::unsigned_int) value.value.unsigned_int = raw<std::uint32_t>(answer, scale);
  if (type == ValueType::signed_int) value.value.signed_int = raw<std::int32_t>(answer, scale);
  if (type == ValueType::unsigned_long_long) value.value.unsigned_long_long = raw<std::uint64_t>(answer, scale);
}

void answer_field(const Gpu& gpu, double time, FieldValue& value) {
  const Answer unsupported{0, 3, false};
  const auto plain = [&](const char* key, double scale) {
    set(value, ValueType::unsigned_int, gpu.curve(key).at(time), scale);
  };
  const bool module = value.scope == module_scope;
  switch (value.field) {
    case field::total_energy:
      return set(value, ValueType::unsigned_long_long, player().energy(gpu), 1);
    case field::power_average:
      return set(value, ValueType::unsigned_int, module ? unsupported : mean_power(gpu, time), 1000);
    case field::power_instant:
      return set(value, ValueType::unsigned_int, module ? gpu.curve("module_power").at(time) : instant_power(gpu, time),
                 1000);
    case field::power_limit_min:
      return plain("power_limit_min", 1000);
    case field::power_limit_max:
      return plain("power_limit_max", 1000);
    case field::power_limit_default:
      return plain("power_limit_default", 1000);
    case field::power_limit:
      return plain("power_limit", 1000);
    case field::memory_temperature:
      return plain("memory_temperature", 1);
    case field::slowdown_margin:
      return set(value, ValueType::signed_int, gpu.curve("margin_slowdown").at(time), 1);
    default:
      break;
  }
  const char* key = throttle_key(value.field);
  const std::uint32_t reasons = first_reason_field();
  if (reasons != 0 && value.field >= reasons && value.field < reasons + 3) {
    const std::uint64_t bit = std::array{sw_thermal, hw_thermal, hw_power_brake}[value.field - reasons];
    const auto supported = static_cast<std::uint64_t>(gpu.curve("supported_reasons").at(time).value);
    if ((supported & bit) != 0) key = std::array{"sw_thermal", "hw_thermal", "hw_power_brake"}[value.field - reasons];
  }
  if (key == nullptr || !gpu.counts_in_fields) return set(value, ValueType::unsigned_int, unsupported, 1);
  set(value, ValueType::unsigned_long_long, {player().held_ns(gpu, key), 0, false}, 1);
}

struct ReasonKey {
  const char* key;
  std::uint64_t bit;
};
constexpr ReasonKey reason_keys[] = {{"idle", gpu_idle},
                                     {"sw_power_cap", sw_power_cap},
                                     {"hw_slowdown", hw_slowdown},
                                     {"sync_boost", sync_boost},
                                     {"sw_thermal", sw_thermal},
                                     {"hw_thermal", hw_thermal},
                                     {"hw_power_brake", hw_power_brake}};

}  // namespace

#define NVML_EXPORT extern "C" __attribute__((visibility("default")))

NVML_EXPORT Return nvmlInit_v2() {
  const Player::Account account(player());
  return player().init();
}
NVML_EXPORT Return nvmlInitWithFlags(std::uint32_t) {
  return nvmlInit_v2();
}
NVML_EXPORT Return nvmlShutdown() {
  return player().shutdown();
}
NVML_EXPORT Return nvmlSystemGetDriverVersion(char* to, std::uint32_t size) {
  if (const Return result = player().usable(); result != Return::success) return result;
  return text(player().scenario().driver_version, to, size);
}
NVML_EXPORT Return nvmlDeviceGetCount_v2(std::uint32_t* count) {
  if (const Return result = player().usable(); result != Return::success) return result;
  *count = static_cast<std::uint32_t>(player().present().size());
  return Return::success;
}
NVML_EXPORT Return nvmlDeviceGetHandleByIndex_v2(std::uint32_t index, Device* device) {
  const std::vector<std::size_t> present = player().present();
  return index < present.size() ? player().open(present[index], device) : Return::invalid_argument;
}
NVML_EXPORT Return nvmlDeviceGetHandleByPciBusId_v2(const char* address, Device* device) {
  const auto parse = [](const char* text, unsigned(&parts)[4]) {
    return std::sscanf(text, "%x:%x:%x.%x", &parts[0], &parts[1], &parts[2], &parts[3]) == 4;
  };
  unsigned wanted[4] = {};
  if (address == nullptr || !parse(address, wanted)) return Return::invalid_argument;
  for (const std::size_t index : player().present()) {
    unsigned have[4] = {};
    parse(player().scenario().gpus[index].pci.c_str(), have);
    if (std::memcmp(have, wanted, sizeof(have)) == 0) return player().open(index, device);
  }
  return Return::not_found;
}
NVML_EXPORT Return nvmlDeviceGetUUID(Device device, char* to, std::uint32_t size) {
  return text_of(device, &Gpu::uuid, to, size);
}
NVML_EXPORT Return nvmlDeviceGetName(Device device, char* to, std::uint32_t size) {
  return text_of(device, &Gpu::name, to, size);
}
NVML_EXPORT Return nvmlDeviceGetVbiosVersion(Device device, char* to, std::uint32_t size) {
  return text_of(device, &Gpu::vbios, to, size);
}
NVML_EXPORT Return nvmlDeviceGetPciInfo_v3(Device device, PciInfo* pci) {
  const Player::Account account(player());
  const Gpu* gpu = nullptr;
  if (const Return result = player().enter(device, gpu); result != Return::success) return result;
  *pci = PciInfo{};
  unsigned function = 0;
  std::sscanf(gpu->pci.c_str(), "%x:%x:%x.%x", &pci->domain, &pci->bus, &pci->device, &function);
  std::snprintf(pci->bus_id, sizeof(pci->bus_id), "%08X:%02X:%02X.%X", pci->domain, pci->bus, pci->device, function);
  return Return::success;
}
NVML_EXPORT Return nvmlDeviceGetArchitecture(Device device, std::uint32_t* architecture) {
  const Gpu* gpu = nullptr;
  if (const Return result = player().enter(device, gpu); result != Return::success) return result;
  *architecture = gpu->architecture;
  return Return::success;
}
NVML_EXPORT Return nvmlDeviceGetCudaComputeCapability(Device device, std::int32_t* major, std::int32_t* minor) {
  const Gpu* gpu = nullptr;
  if (const Return result = player().enter(device, gpu); result != Return::success) return result;
  *major = gpu->compute_major;
  *minor = gpu->compute_minor;
  return Return::success;
}
NVML_EXPORT Return nvmlDeviceGetFieldValues(Device device, std::int32_t count, FieldValue* values) {
  const Player::Account account(player());
  const Gpu* gpu = nullptr;
  if (const Return result = player().enter(device, gpu); result != Return::success) return result;
  const double time = player().now();
  for (std::int32_t i = 0; i < count; ++i)
    answer_field(*gpu, time, values[i]);
  return Return::success;
}
NVML_EXPORT Return nvmlDeviceGetPowerUsage(Device device, std::uint32_t* milliwatts) {
  const Player::Account account(player());
  const Gpu* gpu = nullptr;
  if (const Return result = player().enter(device, gpu); result != Return::success) return result;
  const double time = player().now();
  const Answer answer = gpu->usage_is_mean ? mean_power(*gpu, time) : instant_power(*gpu, time);
  if (answer.error != 0) return static_cast<Return>(answer.error);
  *milliwatts = raw<std::uint32_t>(answer, 1000);
  return Return::success;
}
NVML_EXPORT Return nvmlDeviceGetTotalEnergyConsumption(Device device, std::uint64_t* millijoules) {
  const Player::Account account(player());
  const Gpu* gpu = nullptr;
  if (const Return result = player().enter(device, gpu); result != Return::success) return result;
  const Answer answer = player().energy(*gpu);
  if (answer.error != 0) return static_cast<Return>(answer.error);
  *millijoules = raw<std::uint64_t>(answer, 1);
  return Return::success;
}
NVML_EXPORT Return nvmlDeviceGetEnforcedPowerLimit(Device device, std::uint32_t* milliwatts) {
  return number(device, "power_limit", 1000, milliwatts);
}
NVML_EXPORT Return nvmlDeviceGetPowerManagementDefaultLimit(Device device, std::uint32_t* milliwatts) {
  return number(device, "power_limit_default", 1000, milliwatts);
}
NVML_EXPORT Return nvmlDeviceGetPowerManagementLimitConstraints(Device device, std::uint32_t* least,
                                                                std::uint32_t* most) {
  const Return result = number(device, "power_limit_min", 1000, least);
  return result == Return::success ? number(device, "power_limit_max", 1000, most) : result;
}
NVML_EXPORT Return nvmlDeviceGetTemperature(Device device, Sensor, std::uint32_t* degrees) {
  return number(device, "temperature", 1, degrees);
}
NVML_EXPORT Return nvmlDeviceGetTemperatureThreshold(Device device, Threshold threshold, std::uint32_t* degrees) {
  const char* keys[] = {"shutdown", "slowdown", "memory_max", "core_max"};
  const auto index = static_cast<std::size_t>(threshold);
  return index < std::size(keys) ? number(device, keys[index], 1, degrees) : Return::invalid_argument;
}
NVML_EXPORT Return nvmlDeviceGetMarginTemperature(Device device, MarginTemperature* margin) {
  if (margin->version != struct_version<MarginTemperature>(1)) return Return::argument_version_mismatch;
  return number(device, "margin", 1, &margin->margin);
}
NVML_EXPORT Return nvmlDeviceGetUtilizationRates(Device device, Utilization* busy) {
  const Return result = number(device, "utilization", 100, &busy->gpu);
  return result == Return::success ? number(device, "memory_utilization", 100, &busy->memory) : result;
}
NVML_EXPORT Return nvmlDeviceGetEncoderUtilization(Device device, std::uint32_t* percent, std::uint32_t* period_us) {
  return engine(device, "encoder", percent, period_us);
}
NVML_EXPORT Return nvmlDeviceGetDecoderUtilization(Device device, std::uint32_t* percent, std::uint32_t* period_us) {
  return engine(device, "decoder", percent, period_us);
}
NVML_EXPORT Return nvmlDeviceGetJpgUtilization(Device device, std::uint32_t* percent, std::uint32_t* period_us) {
  return engine(device, "jpeg", percent, period_us);
}
NVML_EXPORT Return nvmlDeviceGetOfaUtilization(Device device, std::uint32_t* percent, std::uint32_t* period_us) {
  return engine(device, "ofa", percent, period_us);
}
NVML_EXPORT Return nvmlDeviceGetMemoryInfo_v2(Device device, MemoryV2* memory) {
  if (memory->version != struct_version<MemoryV2>(2)) return Return::argument_version_mismatch;
  if (const Return result = number(device, "memory_total", 1, &memory->total); result != Return::success) return result;
  if (const Return result = number(device, "memory_used", 1, &memory->used); result != Return::success) return result;
  if (number(device, "memory_reserved", 1, &memory->reserved) != Return::success) memory->reserved = 0;
  memory->free = memory->total - memory->reserved - memory->used;
  return Return::success;
}
NVML_EXPORT Return nvmlDeviceGetMemoryInfo(Device device, Memory* memory) {
  MemoryV2 newer{};
  newer.version = struct_version<MemoryV2>(2);
  if (const Return result = nvmlDeviceGetMemoryInfo_v2(device, &newer); result != Return::success) return result;
  *memory = {newer.total, newer.free, newer.used + newer.reserved};
  return Return::success;
}
NVML_EXPORT Return nvmlDeviceGetClockInfo(Device device, Clock clock, std::uint32_t* megahertz) {
  const char* keys[] = {"clock_sm", "clock_sm", "clock_memory", "clock_video"};
  const auto index = static_cast<std::size_t>(clock);
  return index < std::size(keys) ? number(device, keys[index], 1e-6, megahertz) : Return::invalid_argument;
}
NVML_EXPORT Return nvmlDeviceGetCurrentClocksEventReasons(Device device, std::uint64_t* reasons) {
  const Player::Account account(player());
  const Gpu* gpu = nullptr;
  if (const Return result = player().enter(device, gpu); result != Return::success) return result;
  const double time = player().now();
  *reasons = 0;
  for (const ReasonKey& reason : reason_keys) {
    if (!gpu->has(reason.key)) continue;
    const Answer answer = gpu->curve(reason.key).at(time);
    if (answer.error != 0) return static_cast<Return>(answer.error);
    if (answer.value > 0) *reasons |= reason.bit;
  }
  return Return::success;
}
NVML_EXPORT Return nvmlDeviceGetCurrentClocksThrottleReasons(Device device, std::uint64_t* reasons) {
  return nvmlDeviceGetCurrentClocksEventReasons(device, reasons);
}
NVML_EXPORT Return nvmlDeviceGetSupportedClocksEventReasons(Device device, std::uint64_t* reasons) {
  return number(device, "supported_reasons", 1, reasons);
}
NVML_EXPORT Return nvmlDeviceGetSupportedClocksThrottleReasons(Device device, std::uint64_t* reasons) {
  return number(device, "supported_reasons", 1, reasons);
}
NVML_EXPORT Return nvmlDeviceGetViolationStatus(Device device, Policy policy, ViolationTime* time) {
  const Player::Account account(player());
  const Gpu* gpu = nullptr;
  if (const Return result = player().enter(device, gpu); result != Return::success) return result;
  const auto offset = static_cast<std::uint32_t>(policy);
  const char* key = throttle_key(policy == Policy::any ? field::policy_any : field::policy_power + offset);
  if (key == nullptr || !gpu->has(key)) return Return::not_supported;
  *time = {static_cast<std::uint64_t>(player().now() * 1e6), static_cast<std::uint64_t>(player().held_ns(*gpu, key))};
  return Return::success;
}
NVML_EXPORT Return nvmlDeviceGetComputeRunningProcesses_v3(Device device, std::uint32_t* count, ProcessInfo* infos) {
  const std::uint32_t room = *count;
  if (const Return result = number(device, "processes", 1, count); result != Return::success) return result;
  if (*count > room) return Return::insufficient_size;
  const Player::Account account(player());
  const Gpu* gpu = nullptr;
  if (const Return result = player().enter(device, gpu); result != Return::success) return result;
  for (std::uint32_t i = 0; infos != nullptr && i < *count; ++i) {
    infos[i] = {};
    infos[i].pid = i < gpu->pids.size() ? gpu->pids[i] : 1'000'000 + i;
  }
  return Return::success;
}
NVML_EXPORT Return nvmlDeviceGetComputeRunningProcesses_v2(Device device, std::uint32_t* count, ProcessInfo* infos) {
  return nvmlDeviceGetComputeRunningProcesses_v3(device, count, infos);
}
