// The NVML calls of one tick of one GPU. A query that the board does not support is remembered, and repeated only after
// ten minutes (a driver setting, MIG or a power state may have changed). All field values are read with one call.
// On the GPU's lane only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "collectors/batch.hpp"
#include "collectors/gpu/nvml_api.hpp"

namespace perjoule::nvml {

inline constexpr std::int64_t ask_again_ns = 600'000'000'000;

// Remembers that one query is not supported.
struct Feature {
  std::int64_t again_ns = 0;
  [[nodiscard]] bool missing(std::int64_t now_ns) const { return now_ns < again_ns; }
};

// One tick: the batch that it fills, and the errors so far.
struct Tick {
  Batch& batch;
  const Api& api;
  Device device = nullptr;
  std::string_view address;
  std::int64_t now_ns = 0;
  std::optional<Error> error;  // the first failure that was not "not supported"
  bool over = false;           // the handle is invalid: no further call is made

  // True if `result` of the query `what` is a success. Else "not supported" is remembered in `feature`, and any other
  // failure is counted as a fault.
  bool good(Return result, std::string_view what, Feature& feature);

  // Counts and reports an implausible value. `read` and `plausible` have their units: "4294967 mW", "0 to 700 W".
  void refuse(std::string_view what, std::string_view read, std::string_view plausible);

  // Calls an entry of the table with the device and `arguments`, unless the query is known not to be supported.
  template <class... Parameters, class... Arguments>
  bool ask(Feature& feature, std::string_view what, Return (*function)(Device, Parameters...), Arguments... arguments) {
    if (over) return false;
    if (feature.missing(now_ns)) {
      batch.absent();
      return false;
    }
    return good(function == nullptr ? Return::function_not_found : function(device, arguments...), what, feature);
  }
};

// In the order of the requests in nvml_fields.cpp.
enum class Field : std::uint8_t {
  energy,
  power_average,
  power_instant,
  module_power,
  limit_min,
  limit_max,
  limit_default,
  limit,
  memory_temperature,
  slowdown_margin,
  policy_power,
  policy_thermal,
  policy_sync_boost,
  policy_board_limit,
  policy_reliability,
  policy_any,
  reason_sw_thermal,
  reason_hw_thermal,
  reason_hw_power_brake,
  count,
};

class Fields {
 public:
  void read(Tick& tick);
  // Sets the ids of the three reason_ fields, which have moved between releases of the driver. `first`: the first of
  // them; 0: this driver has none.
  void reasons_at(std::uint32_t first);
  // The value of this tick; none where the board does not have it, the call failed, or it was not a number (refused).
  [[nodiscard]] std::optional<std::int64_t> operator[](Field field) const { return values_[index(field)]; }
  // The board answered "not supported" within the last ten minutes.
  [[nodiscard]] bool missing(Field field, std::int64_t now_ns) const {
    return call_.missing(now_ns) || features_[index(field)].missing(now_ns);
  }

 private:
  static constexpr std::size_t index(Field field) { return static_cast<std::size_t>(field); }
  static constexpr std::size_t size = static_cast<std::size_t>(Field::count);
  Feature call_;
  std::array<Feature, size> features_;
  std::array<std::optional<std::int64_t>, size> values_;
  std::uint32_t reasons_at_ = 0;
  std::vector<FieldValue> asked_;
  std::vector<std::size_t> asked_index_;
};

// The id of the first reason_ field, by the driver's version ("590.48.01"); 0: it has none, or is newer than known.
// NVML 12.9 and 13.0 (drivers 575 to 589) have 251 to 253, NVML 13.1 to 13.3 (590 to 610) 269 to 271; other releases
// use these ids for other quantities (headers of NVIDIA/go-nvml, gen/nvml/nvml.h).
[[nodiscard]] std::uint32_t reason_fields_of(std::string_view driver_version);

// The number in a field; none if it is NaN or infinite, of unknown type, or above 2^63 - 1 (NVML_VALUE_NOT_AVAILABLE is
// all ones).
[[nodiscard]] std::optional<std::int64_t> number(const FieldValue& value);

}  // namespace perjoule::nvml
