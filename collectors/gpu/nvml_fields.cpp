#include "collectors/gpu/nvml_fields.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace perjoule::nvml {

namespace {

struct Request {
  std::uint32_t field = 0;
  std::uint32_t scope = 0;
  std::string_view what;
};

constexpr std::array<Request, static_cast<std::size_t>(Field::count)> requests = {{
    {field::total_energy, 0, "energy"},
    {field::power_average, 0, "average power"},
    {field::power_instant, 0, "instant power"},
    {field::power_instant, module_scope, "module power"},
    {field::power_limit_min, 0, "smallest power limit"},
    {field::power_limit_max, 0, "largest power limit"},
    {field::power_limit_default, 0, "default power limit"},
    {field::power_limit, 0, "power limit"},
    {field::memory_temperature, 0, "memory temperature"},
    {field::slowdown_margin, 0, "slowdown margin"},
    {field::policy_power, 0, "power cap time"},
    {field::policy_thermal, 0, "thermal throttle time"},
    {field::policy_sync_boost, 0, "sync boost time"},
    {field::policy_board_limit, 0, "board limit time"},
    {field::policy_reliability, 0, "reliability limit time"},
    {field::policy_any, 0, "throttled time"},
    {0, 0, "software thermal throttle time"},
    {0, 0, "hardware thermal throttle time"},
    {0, 0, "power brake time"},
}};
constexpr auto first_reason = static_cast<std::size_t>(Field::reason_sw_thermal);

}  // namespace

bool Tick::good(Return result, std::string_view what, Feature& feature) {
  switch (result) {
    case Return::success:
      batch.ok();
      return true;
    case Return::invalid_argument:
      // With a valid handle this means "not supported by this board". With an invalid one every call returns it: the
      // tick stays empty, and this error is returned.
      if (!error) error = error_of(result, what, address);
      [[fallthrough]];
    case Return::not_supported:
    case Return::function_not_found:
    case Return::argument_version_mismatch:
    case Return::deprecated:
      feature.again_ns = now_ns + ask_again_ns;
      batch.absent();
      return false;
    case Return::no_data:
    case Return::not_ready:
      batch.absent();
      return false;
    case Return::uninitialized:
    case Return::driver_not_loaded:
    case Return::gpu_is_lost:
    case Return::reset_required:
      over = true;
      break;
    default:
      break;
  }
  Error failure = error_of(result, what, address);
  batch.fault(what, failure);
  if (!error || over) error = std::move(failure);
  return false;
}

void Tick::refuse(std::string_view what, std::string_view read, std::string_view plausible) {
  batch.refuse(what, fmt::format("implausible reading {} (plausible: {}), ignored", read, plausible));
}

std::optional<std::int64_t> number(const FieldValue& value) {
  constexpr double limit = 9.2e18;
  switch (value.type) {
    case ValueType::floating:
      if (!(std::abs(value.value.floating) < limit)) return std::nullopt;
      return std::llround(value.value.floating);
    case ValueType::unsigned_int:
      return value.value.unsigned_int;
    case ValueType::unsigned_long:
    case ValueType::unsigned_long_long:
      if (value.value.unsigned_long_long > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return std::nullopt;
      }
      return static_cast<std::int64_t>(value.value.unsigned_long_long);
    case ValueType::signed_long_long:
      return value.value.signed_long_long;
    case ValueType::signed_int:
      return value.value.signed_int;
    case ValueType::unsigned_short:
      return value.value.unsigned_short;
  }
  return std::nullopt;
}

std::uint32_t reason_fields_of(std::string_view driver_version) {
  unsigned branch = 0;
  const char* const end = driver_version.data() + driver_version.size();
  const auto [stop, code] = std::from_chars(driver_version.data(), end, branch);
  if (code != std::errc() || stop == end || *stop != '.') return 0;
  if (branch >= 575 && branch < 590) return 251;
  if (branch >= 590 && branch <= 610) return 269;
  return 0;
}

void Fields::reasons_at(std::uint32_t first) {
  reasons_at_ = first;
  for (std::size_t i = first_reason; i < size; ++i)
    features_[i].again_ns = first == 0 ? std::numeric_limits<std::int64_t>::max() : 0;
}

void Fields::read(Tick& tick) {
  values_.fill(std::nullopt);
  asked_.clear();
  asked_index_.clear();
  for (std::size_t i = 0; i < size; ++i) {
    if (features_[i].missing(tick.now_ns)) {
      tick.batch.absent();
      continue;
    }
    FieldValue value{};
    value.field = i < first_reason ? requests[i].field : reasons_at_ + static_cast<std::uint32_t>(i - first_reason);
    value.scope = requests[i].scope;
    value.result = Return::not_supported;  // in case the driver does not write the entry
    asked_.push_back(value);
    asked_index_.push_back(i);
  }
  if (asked_.empty()) return;
  const auto count = static_cast<std::int32_t>(asked_.size());
  if (!tick.ask(call_, "nvmlDeviceGetFieldValues", tick.api.device_field_values, count, asked_.data())) return;
  for (std::size_t i = 0; i < asked_.size() && !tick.over; ++i) {
    const std::string_view what = requests[asked_index_[i]].what;
    if (!tick.good(asked_[i].result, what, features_[asked_index_[i]])) continue;
    values_[asked_index_[i]] = number(asked_[i]);
    if (!values_[asked_index_[i]]) {
      tick.refuse(what,
                  fmt::format("0x{:x} of value type {}", asked_[i].value.unsigned_long_long,
                              static_cast<std::uint32_t>(asked_[i].type)),
                  "a number below 2^63");
    }
  }
}

}  // namespace perjoule::nvml
