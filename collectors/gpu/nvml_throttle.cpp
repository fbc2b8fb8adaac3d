#include "collectors/gpu/nvml_throttle.hpp"

#include <fmt/format.h>

#include <limits>

#include "collectors/gpu/metrics.hpp"

namespace perjoule::nvml {

const std::array<Throttle::Reason, Throttle::reasons_count> Throttle::reasons = {{
    {"sw_power_cap", sw_power_cap, Field::policy_power, Policy::power},
    {"sw_thermal", sw_thermal, Field::reason_sw_thermal, {}},
    {"hw_thermal", hw_thermal, Field::reason_hw_thermal, {}},
    {"hw_power_brake", hw_power_brake, Field::reason_hw_power_brake, {}},
    {"hw_slowdown", hw_slowdown, {}, {}},
    {"sync_boost", sync_boost, Field::policy_sync_boost, Policy::sync_boost},
    {"board_limit", 0, Field::policy_board_limit, Policy::board_limit},
    {"reliability", 0, Field::policy_reliability, Policy::reliability},
    {"thermal", 0, Field::policy_thermal, Policy::thermal},
}};

// Drivers without these fields give the same times through nvmlDeviceGetViolationStatus.
Throttle::Counted Throttle::counted(Tick& tick, const Fields& fields, Field field, std::optional<Policy> policy,
                                    Feature& violation) const {
  Counted counted{fields[field], false};
  if (!counted.nanoseconds && fields.missing(field, tick.now_ns)) {
    if (!policy) return {std::nullopt, true};
    ViolationTime time{};
    if (tick.ask(violation, "nvmlDeviceGetViolationStatus", tick.api.device_violation, *policy, &time)) {
      counted.nanoseconds = static_cast<std::int64_t>(time.violation_time);  // above 2^63 - 1: negative, refused below
    }
    counted.missing = violation.missing(tick.now_ns);
  }
  if (counted.nanoseconds && *counted.nanoseconds < 0) {
    tick.refuse("throttle time", fmt::format("{} ns", *counted.nanoseconds),
                fmt::format("0 to {} ns", std::numeric_limits<std::int64_t>::max()));
    counted.nanoseconds.reset();
  }
  return counted;
}

void Throttle::read_supported(Tick& tick) {
  if (supported_at_ns_ >= 0 && tick.now_ns - supported_at_ns_ < ask_again_ns) return;
  std::uint64_t bits = 0;
  constexpr std::string_view what = "nvmlDeviceGetSupportedClocksEventReasons";
  if (tick.ask(supported_feature_, what, tick.api.device_supported_event_reasons, &bits) && bits != 0) {
    supported_ = bits;
    supported_at_ns_ = tick.now_ns;
  }
  // On boards that have the two exact bits, the general bit only repeats them.
  if ((supported_ & (hw_thermal | hw_power_brake)) != 0) supported_ &= ~hw_slowdown;
}

void Throttle::read(Tick& tick, const Fields& fields, const Labels& labels) {
  read_supported(tick);
  std::uint64_t active = 0;
  const bool known =
      tick.ask(active_, "nvmlDeviceGetCurrentClocksEventReasons", tick.api.device_event_reasons, &active);
  if (known) {
    tick.batch.add(gpu_clock_idle, count((active & gpu_idle) != 0 ? 1 : 0), labels.slot, labels.uuid);
  }
  const auto book = [&](const auto& metric, std::int64_t nanoseconds, const auto&... values) {
    const CounterReading counter = {labels.uuid, static_cast<std::uint64_t>(nanoseconds / 1000), 0, 1, Origin::counter};
    tick.batch.meter(metric, nullptr, counter, labels.slot, labels.uuid, values...);
  };
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    const Reason& reason = reasons[i];
    const bool has_bit = known && reason.bit != 0 && (supported_ & reason.bit) != 0;
    const bool is_active = (active & reason.bit) != 0;
    if (has_bit) {
      tick.batch.add(gpu_throttle_active, count(is_active ? 1 : 0), labels.slot, labels.uuid, reason.name);
    }
    Counted time{std::nullopt, true};
    if (reason.counter) time = counted(tick, fields, *reason.counter, reason.policy, violations_[i]);
    if (time.nanoseconds) {
      book(gpu_throttle_seconds, *time.nanoseconds, reason.name);
    } else if (has_bit && time.missing) {
      tick.batch.dwell(gpu_throttle_seconds, is_active, labels.uuid, labels.slot, labels.uuid, reason.name);
    }
  }
  const Counted any = counted(tick, fields, Field::policy_any, Policy::any, any_violation_);
  if (any.nanoseconds) book(gpu_throttled_seconds, *any.nanoseconds);
}

}  // namespace perjoule::nvml
