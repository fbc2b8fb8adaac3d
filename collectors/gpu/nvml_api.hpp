// NVIDIA's management library (NVML) as a table of functions, filled at run time: nothing is linked, and no header of
// NVIDIA's is needed to build.
//
// The declarations are our own, written from the published ABI of libnvidia-ml.so.1 (x86-64 System V; NVML 11.3 to
// 13.3). Where a function has versions, the symbol with the version is looked up: the plain one may be an older
// function with smaller structs. A null entry means that the driver is too old for it. Field numbers above 198 changed
// between releases and are not used.
//
// All functions may block (on a failing GPU for seconds, or for ever): lanes only. They are thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "collectors/result.hpp"
#include "collectors/shared_library.hpp"

namespace perjoule::nvml {

enum class Return : std::uint32_t {
  success = 0,
  uninitialized = 1,
  invalid_argument = 2,
  not_supported = 3,
  no_permission = 4,
  not_found = 6,
  insufficient_size = 7,
  insufficient_power = 8,
  driver_not_loaded = 9,
  timeout = 10,
  irq_issue = 11,
  library_not_found = 12,
  function_not_found = 13,
  corrupted_inforom = 14,
  gpu_is_lost = 15,
  reset_required = 16,
  operating_system = 17,
  version_mismatch = 18,  // of the library and the kernel's driver
  in_use = 19,
  memory = 20,
  no_data = 21,
  argument_version_mismatch = 25,
  deprecated = 26,
  not_ready = 27,
  gpu_not_found = 28,
  unknown = 999,
};

// The name as in NVIDIA's documentation, and the number; "" for a number that is not listed above.
[[nodiscard]] std::string_view name(Return result);

// The error for `result` of the call `what`, with the remedy for the board at `address` ("": not about one board).
[[nodiscard]] Error error_of(Return result, std::string_view what, std::string_view address);

struct DeviceHandle;
using Device = DeviceHandle*;  // opaque; invalid once the library was shut down or the driver reloaded

inline constexpr std::uint32_t no_attach = 2;  // nvmlInitWithFlags: do not attach to the boards yet

struct PciInfo {
  char bus_id_legacy[16];
  std::uint32_t domain, bus, device, device_id, subsystem_id;
  char bus_id[32];
};
static_assert(sizeof(PciInfo) == 68 && offsetof(PciInfo, domain) == 16 && offsetof(PciInfo, bus_id) == 36);

struct Utilization {
  std::uint32_t gpu, memory;  // percent
};
static_assert(sizeof(Utilization) == 8);

struct Memory {
  std::uint64_t total, free, used;  // `used` includes what the driver reserves
};
static_assert(sizeof(Memory) == 24 && offsetof(Memory, used) == 16);

struct MemoryV2 {
  std::uint32_t version;
  std::uint64_t total, reserved, free, used;
};
static_assert(sizeof(MemoryV2) == 40 && offsetof(MemoryV2, total) == 8 && offsetof(MemoryV2, used) == 32);

struct ViolationTime {
  std::uint64_t reference_time;  // microseconds
  std::uint64_t violation_time;  // nanoseconds
};
static_assert(sizeof(ViolationTime) == 16);

struct MarginTemperature {
  std::uint32_t version;
  std::int32_t margin;
};
static_assert(sizeof(MarginTemperature) == 8);

struct ProcessInfo {
  std::uint32_t pid;
  std::uint64_t used_memory;
  std::uint32_t gpu_instance, compute_instance;
};
static_assert(sizeof(ProcessInfo) == 24 && offsetof(ProcessInfo, used_memory) == 8);

enum class ValueType : std::uint32_t {
  floating = 0,
  unsigned_int = 1,
  unsigned_long = 2,
  unsigned_long_long = 3,
  signed_long_long = 4,
  signed_int = 5,
  unsigned_short = 6,
};

union Value {
  double floating;
  std::int32_t signed_int;
  std::uint32_t unsigned_int;
  std::uint64_t unsigned_long_long;
  std::int64_t signed_long_long;
  std::uint16_t unsigned_short;
};
static_assert(sizeof(Value) == 8);

struct FieldValue {
  std::uint32_t field, scope;
  std::int64_t timestamp_us, latency_us;
  ValueType type;
  Return result;  // of this field: `value` is valid only on success
  Value value;
};
static_assert(sizeof(FieldValue) == 40 && offsetof(FieldValue, type) == 24 && offsetof(FieldValue, result) == 28 &&
              offsetof(FieldValue, value) == 32);

// The value that a versioned struct has in its first member.
template <class Struct>
constexpr std::uint32_t struct_version(std::uint32_t version) {
  return static_cast<std::uint32_t>(sizeof(Struct)) | (version << 24U);
}
static_assert(struct_version<MemoryV2>(2) == 0x02000028 && struct_version<MarginTemperature>(1) == 0x01000008);

enum class Clock : std::uint32_t { graphics = 0, sm = 1, memory = 2, video = 3 };
enum class Sensor : std::uint32_t { core = 0 };
enum class Threshold : std::uint32_t { shutdown = 0, slowdown = 1, memory_max = 2, core_max = 3 };
enum class Policy : std::uint32_t {
  power = 0,
  thermal = 1,
  sync_boost = 2,
  board_limit = 3,
  reliability = 5,
  any = 10
};

// Bits of the clocks event (throttle) reasons.
inline constexpr std::uint64_t gpu_idle = 0x1;
inline constexpr std::uint64_t sw_power_cap = 0x4;
inline constexpr std::uint64_t hw_slowdown = 0x8;  // thermal or power brake; newer drivers also set the exact bit
inline constexpr std::uint64_t sync_boost = 0x10;
inline constexpr std::uint64_t sw_thermal = 0x20;
inline constexpr std::uint64_t hw_thermal = 0x40;
inline constexpr std::uint64_t hw_power_brake = 0x80;

// Architectures (NVML_DEVICE_ARCH_*); newer ones have larger numbers.
inline constexpr std::uint32_t volta = 5;
inline constexpr std::uint32_t ampere = 7;
inline constexpr std::uint32_t architecture_unknown = 0xffffffff;

namespace field {
inline constexpr std::uint32_t policy_power = 74;  // nanoseconds, 74 to 81
inline constexpr std::uint32_t policy_thermal = 75;
inline constexpr std::uint32_t policy_sync_boost = 76;
inline constexpr std::uint32_t policy_board_limit = 77;
inline constexpr std::uint32_t policy_reliability = 79;
inline constexpr std::uint32_t policy_any = 80;
inline constexpr std::uint32_t memory_temperature = 82;
inline constexpr std::uint32_t total_energy = 83;    // mJ since the driver was loaded
inline constexpr std::uint32_t power_average = 185;  // mW, 185 to 190; scope 0 board, 1 module
inline constexpr std::uint32_t power_instant = 186;
inline constexpr std::uint32_t power_limit_min = 187;
inline constexpr std::uint32_t power_limit_max = 188;
inline constexpr std::uint32_t power_limit_default = 189;
inline constexpr std::uint32_t power_limit = 190;
inline constexpr std::uint32_t slowdown_margin = 194;  // signed degrees, on the scale of the margin temperature
}  // namespace field
inline constexpr std::uint32_t module_scope = 1;

// One member per function; nvml_api.cpp names the symbols.
struct Api {
  using U32 = std::uint32_t*;
  using U64 = std::uint64_t*;
  Return (*init)() = nullptr;
  Return (*init_with_flags)(std::uint32_t) = nullptr;
  Return (*shutdown)() = nullptr;
  Return (*system_driver_version)(char*, std::uint32_t) = nullptr;
  Return (*device_count)(U32) = nullptr;
  Return (*device_by_index)(std::uint32_t, Device*) = nullptr;
  Return (*device_by_pci)(const char*, Device*) = nullptr;
  Return (*device_uuid)(Device, char*, std::uint32_t) = nullptr;
  Return (*device_name)(Device, char*, std::uint32_t) = nullptr;
  Return (*device_pci)(Device, PciInfo*) = nullptr;
  Return (*device_vbios)(Device, char*, std::uint32_t) = nullptr;
  Return (*device_architecture)(Device, U32) = nullptr;
  Return (*device_compute_capability)(Device, std::int32_t* major, std::int32_t* minor) = nullptr;
  Return (*device_field_values)(Device, std::int32_t count, FieldValue*) = nullptr;
  Return (*device_power)(Device, U32 milliwatts) = nullptr;
  Return (*device_energy)(Device, U64 millijoules) = nullptr;
  Return (*device_power_limit)(Device, U32 milliwatts) = nullptr;
  Return (*device_power_limit_default)(Device, U32 milliwatts) = nullptr;
  Return (*device_power_limit_range)(Device, U32 least, U32 most) = nullptr;
  Return (*device_temperature)(Device, Sensor, U32) = nullptr;
  Return (*device_temperature_threshold)(Device, Threshold, U32) = nullptr;
  Return (*device_margin_temperature)(Device, MarginTemperature*) = nullptr;
  Return (*device_utilization)(Device, Utilization*) = nullptr;
  Return (*device_encoder)(Device, U32 percent, U32 period_us) = nullptr;
  Return (*device_decoder)(Device, U32 percent, U32 period_us) = nullptr;
  Return (*device_jpeg)(Device, U32 percent, U32 period_us) = nullptr;
  Return (*device_ofa)(Device, U32 percent, U32 period_us) = nullptr;
  Return (*device_memory)(Device, Memory*) = nullptr;
  Return (*device_memory_v2)(Device, MemoryV2*) = nullptr;
  Return (*device_clock)(Device, Clock, U32 megahertz) = nullptr;
  Return (*device_event_reasons)(Device, U64) = nullptr;
  Return (*device_supported_event_reasons)(Device, U64) = nullptr;
  Return (*device_violation)(Device, Policy, ViolationTime*) = nullptr;
  // `count`: room in `infos`, then the number of processes; with "insufficient size" nothing is written.
  Return (*device_compute_processes)(Device, U32 count, ProcessInfo* infos) = nullptr;
};

// Looks up every symbol. The library must outlive the table.
[[nodiscard]] Api load(const SharedLibrary& library);

}  // namespace perjoule::nvml
