#include "collectors/gpu/nvml_api.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace perjoule::nvml {

std::string_view name(Return result) {
  switch (result) {
    case Return::success:
      return "NVML_SUCCESS (0)";
    case Return::uninitialized:
      return "NVML_ERROR_UNINITIALIZED (1)";
    case Return::invalid_argument:
      return "NVML_ERROR_INVALID_ARGUMENT (2)";
    case Return::not_supported:
      return "NVML_ERROR_NOT_SUPPORTED (3)";
    case Return::no_permission:
      return "NVML_ERROR_NO_PERMISSION (4)";
    case Return::not_found:
      return "NVML_ERROR_NOT_FOUND (6)";
    case Return::insufficient_size:
      return "NVML_ERROR_INSUFFICIENT_SIZE (7)";
    case Return::insufficient_power:
      return "NVML_ERROR_INSUFFICIENT_POWER (8)";
    case Return::driver_not_loaded:
      return "NVML_ERROR_DRIVER_NOT_LOADED (9)";
    case Return::timeout:
      return "NVML_ERROR_TIMEOUT (10)";
    case Return::irq_issue:
      return "NVML_ERROR_IRQ_ISSUE (11)";
    case Return::library_not_found:
      return "NVML_ERROR_LIBRARY_NOT_FOUND (12)";
    case Return::function_not_found:
      return "NVML_ERROR_FUNCTION_NOT_FOUND (13)";
    case Return::corrupted_inforom:
      return "NVML_ERROR_CORRUPTED_INFOROM (14)";
    case Return::gpu_is_lost:
      return "NVML_ERROR_GPU_IS_LOST (15)";
    case Return::reset_required:
      return "NVML_ERROR_RESET_REQUIRED (16)";
    case Return::operating_system:
      return "NVML_ERROR_OPERATING_SYSTEM (17)";
    case Return::version_mismatch:
      return "NVML_ERROR_LIB_RM_VERSION_MISMATCH (18)";
    case Return::in_use:
      return "NVML_ERROR_IN_USE (19)";
    case Return::memory:
      return "NVML_ERROR_MEMORY (20)";
    case Return::no_data:
      return "NVML_ERROR_NO_DATA (21)";
    case Return::argument_version_mismatch:
      return "NVML_ERROR_ARGUMENT_VERSION_MISMATCH (25)";
    case Return::deprecated:
      return "NVML_ERROR_DEPRECATED (26)";
    case Return::not_ready:
      return "NVML_ERROR_NOT_READY (27)";
    case Return::gpu_not_found:
      return "NVML_ERROR_GPU_NOT_FOUND (28)";
    case Return::unknown:
      return "NVML_ERROR_UNKNOWN (999)";
  }
  return "";
}

namespace {

constexpr std::string_view reload_remedy =
    "reboot, or reload the driver: stop every process that uses the GPUs (sudo systemctl stop nvidia-persistenced), "
    "then sudo modprobe -r nvidia_uvm nvidia_drm nvidia_modeset nvidia && sudo modprobe nvidia";
constexpr std::string_view permission_remedy =
    "let the daemon's user open /dev/nvidiactl and /dev/nvidia[0-9]* (ls -l /dev/nvidia* shows their group: sudo "
    "usermod -aG GROUP USER; in a container, pass the devices in)";

Fault fault_of(Return result) {
  switch (result) {
    case Return::no_permission:
      return Fault::denied;
    // The handles are invalid, or the board has to come back first: the probe must be created again.
    case Return::uninitialized:
    case Return::driver_not_loaded:
    case Return::gpu_is_lost:
    case Return::reset_required:
    case Return::version_mismatch:
    case Return::invalid_argument:
    case Return::not_found:
    case Return::gpu_not_found:
      return Fault::broken;
    default:
      return Fault::transient;
  }
}

std::string remedy_of(Return result, std::string_view address) {
  switch (result) {
    case Return::no_permission:
      return std::string(permission_remedy);
    case Return::uninitialized:  // the driver was unloaded while the library was open
    case Return::driver_not_loaded:
      return "sudo modprobe nvidia (if that fails: sudo dmesg | grep -i nvrm)";
    case Return::version_mismatch:
      return std::string(reload_remedy);
    case Return::gpu_is_lost:
      // Kernel messages name a board by its PCI address, without the function.
      return fmt::format(
          "sudo dmesg | grep -i 'xid{}' shows why it fell off the bus; a reboot or a power cycle brings it back",
          address.find(':') == std::string_view::npos ? "" : fmt::format(".*{}", address.substr(0, address.find('.'))));
    case Return::reset_required:
      return fmt::format(
          "sudo nvidia-smi --gpu-reset -i {} once no process uses it, or reboot",
          address.empty() ? "INDEX (nvidia-smi -L lists them)" : address.substr(address.starts_with("index ") ? 6 : 0));
    case Return::operating_system:
    case Return::irq_issue:
    case Return::unknown:
      return "sudo dmesg | grep -i nvrm shows the driver's messages";
    default:
      return {};
  }
}

}  // namespace

Error error_of(Return result, std::string_view what, std::string_view address) {
  std::string named(name(result));
  if (named.empty()) named = fmt::format("NVML error {}", static_cast<std::uint32_t>(result));
  return {fault_of(result), fmt::format("{}: {}", what, named), remedy_of(result, address),
          result == Return::gpu_is_lost};
}

namespace {

template <class Function>
void find(const SharedLibrary& library, Function*& entry, const char* symbol) {
  entry = library.symbol<Function>(symbol);
}

}  // namespace

Api load(const SharedLibrary& library) {
  Api api;
  find(library, api.init, "nvmlInit_v2");
  find(library, api.init_with_flags, "nvmlInitWithFlags");
  find(library, api.shutdown, "nvmlShutdown");
  find(library, api.system_driver_version, "nvmlSystemGetDriverVersion");
  find(library, api.device_count, "nvmlDeviceGetCount_v2");
  find(library, api.device_by_index, "nvmlDeviceGetHandleByIndex_v2");
  find(library, api.device_by_pci, "nvmlDeviceGetHandleByPciBusId_v2");
  find(library, api.device_uuid, "nvmlDeviceGetUUID");
  find(library, api.device_name, "nvmlDeviceGetName");
  find(library, api.device_pci, "nvmlDeviceGetPciInfo_v3");
  find(library, api.device_vbios, "nvmlDeviceGetVbiosVersion");
  find(library, api.device_architecture, "nvmlDeviceGetArchitecture");
  find(library, api.device_compute_capability, "nvmlDeviceGetCudaComputeCapability");
  find(library, api.device_field_values, "nvmlDeviceGetFieldValues");
  find(library, api.device_power, "nvmlDeviceGetPowerUsage");
  find(library, api.device_energy, "nvmlDeviceGetTotalEnergyConsumption");
  find(library, api.device_power_limit, "nvmlDeviceGetEnforcedPowerLimit");
  find(library, api.device_power_limit_default, "nvmlDeviceGetPowerManagementDefaultLimit");
  find(library, api.device_power_limit_range, "nvmlDeviceGetPowerManagementLimitConstraints");
  find(library, api.device_temperature, "nvmlDeviceGetTemperature");
  find(library, api.device_temperature_threshold, "nvmlDeviceGetTemperatureThreshold");
  find(library, api.device_margin_temperature, "nvmlDeviceGetMarginTemperature");
  find(library, api.device_utilization, "nvmlDeviceGetUtilizationRates");
  find(library, api.device_encoder, "nvmlDeviceGetEncoderUtilization");
  find(library, api.device_decoder, "nvmlDeviceGetDecoderUtilization");
  find(library, api.device_jpeg, "nvmlDeviceGetJpgUtilization");
  find(library, api.device_ofa, "nvmlDeviceGetOfaUtilization");
  find(library, api.device_memory, "nvmlDeviceGetMemoryInfo");
  find(library, api.device_memory_v2, "nvmlDeviceGetMemoryInfo_v2");
  find(library, api.device_clock, "nvmlDeviceGetClockInfo");
  find(library, api.device_event_reasons, "nvmlDeviceGetCurrentClocksEventReasons");
  if (api.device_event_reasons == nullptr)
    find(library, api.device_event_reasons, "nvmlDeviceGetCurrentClocksThrottleReasons");
  find(library, api.device_supported_event_reasons, "nvmlDeviceGetSupportedClocksEventReasons");
  if (api.device_supported_event_reasons == nullptr)
    find(library, api.device_supported_event_reasons, "nvmlDeviceGetSupportedClocksThrottleReasons");
  find(library, api.device_violation, "nvmlDeviceGetViolationStatus");
  // Drivers 535.43 to 535.97 write larger structs through _v3 (nvitop PR 226); _v2 has never changed.
  find(library, api.device_compute_processes, "nvmlDeviceGetComputeRunningProcesses_v2");
  if (api.device_compute_processes == nullptr)
    find(library, api.device_compute_processes, "nvmlDeviceGetComputeRunningProcesses_v3");
  return api;
}

}  // namespace perjoule::nvml
