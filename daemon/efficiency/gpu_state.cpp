#include "daemon/efficiency/gpu_state.hpp"

#include <utility>

namespace perjoule {

namespace {

constexpr double execution_idle_utilization = 0.05;
constexpr double execution_idle_power_share = 0.2;

}  // namespace

std::string_view name(GpuState state) {
  switch (state) {
    case GpuState::deep_idle:
      return "deep_idle";
    case GpuState::parked:
      return "parked";
    case GpuState::execution_idle:
      return "execution_idle";
    case GpuState::active:
      return "active";
  }
  return "unknown";
}

std::optional<GpuState> gpu_state_of(std::string_view text) {
  for (const GpuState state : gpu_states) {
    if (text == name(state)) return state;
  }
  return std::nullopt;
}

std::optional<GpuState> looks_like(const GpuReading& reading, std::optional<double> floor_watts) {
  if (!reading.utilization) return std::nullopt;
  if (*reading.utilization <= 0) {
    const bool is_held = reading.processes.value_or(0) > 0;
    return is_held || !reading.clock_idle.value_or(true) ? GpuState::parked : GpuState::deep_idle;
  }
  const bool is_held = reading.processes.value_or(1) > 0;
  if (*reading.utilization < execution_idle_utilization && is_held && reading.watts && reading.limit_watts &&
      floor_watts) {
    const double above = *floor_watts + execution_idle_power_share * (*reading.limit_watts - *floor_watts);
    if (*reading.watts > above) return GpuState::execution_idle;
  }
  return GpuState::active;
}

GpuState GpuStates::step(std::optional<GpuState> seen, std::int64_t now_ns, std::int64_t enter_after_ns, bool is_gap) {
  const GpuState before = current_;
  if (is_gap || seen != candidate_) {
    candidate_ = seen;
    since_ns_ = now_ns;
  }
  if (!seen || *seen == current_) return before;
  if (*seen != GpuState::active && now_ns - since_ns_ < enter_after_ns) return before;
  current_ = *seen;
  return *seen == GpuState::active && !is_gap ? current_ : before;
}

}  // namespace perjoule
