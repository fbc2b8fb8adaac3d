#include "daemon/efficiency/gpu_state.hpp"

#include <utility>

namespace perjoule {

namespace {

constexpr double execution_idle_utilization = 0.05;
constexpr double execution_idle_power_share = 0.2;
constexpr double spinning_utilization = 0.9;
constexpr double spinning_memory_utilization = 0.05;
constexpr double spinning_power_share = 0.25;

// Power as a share of the range from the floor to the limit.
std::optional<double> power_share(const GpuReading& reading, std::optional<double> floor_watts) {
  if (!reading.watts || !reading.limit_watts || !floor_watts || *reading.limit_watts <= *floor_watts)
    return std::nullopt;
  return (*reading.watts - *floor_watts) / (*reading.limit_watts - *floor_watts);
}

std::optional<GpuState> without_utilization(const GpuReading& reading) {
  const bool is_free = reading.processes && *reading.processes <= 0;
  if (!reading.clock_idle) return is_free ? std::optional(GpuState::deep_idle) : std::nullopt;
  if (*reading.clock_idle) return reading.processes.value_or(0) > 0 ? GpuState::parked : GpuState::deep_idle;
  return is_free ? GpuState::parked : GpuState::active;
}

}  // namespace

std::string_view name(GpuState state) {
  switch (state) {
    case GpuState::asleep:
      return "asleep";
    case GpuState::deep_idle:
      return "deep_idle";
    case GpuState::parked:
      return "parked";
    case GpuState::execution_idle:
      return "execution_idle";
    case GpuState::spinning:
      return "spinning";
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
  if (reading.suspended) return GpuState::asleep;
  if (!reading.utilization) return without_utilization(reading);
  if (*reading.utilization <= 0) {
    const bool is_held = reading.processes.value_or(0) > 0;
    return is_held || !reading.clock_idle.value_or(true) ? GpuState::parked : GpuState::deep_idle;
  }
  const std::optional<double> share = power_share(reading, floor_watts);
  if (reading.processes.value_or(1) <= 0 || !share) return GpuState::active;
  if (*reading.utilization<execution_idle_utilization&& * share> execution_idle_power_share)
    return GpuState::execution_idle;
  const bool moves_memory = reading.memory_utilization.value_or(1) >= spinning_memory_utilization;
  if (*reading.utilization >= spinning_utilization && !moves_memory && *share < spinning_power_share)
    return GpuState::spinning;
  return GpuState::active;
}

std::optional<GpuState> GpuStates::step(std::optional<GpuState> seen, std::int64_t now_ns, std::int64_t enter_after_ns,
                                        bool is_gap) {
  const std::optional<GpuState> before = current_;
  if (is_gap || seen != candidate_) {
    candidate_ = seen;
    since_ns_ = now_ns;
  }
  if (!seen) {
    if (before && decided_ns_ == 0) decided_ns_ = now_ns;  // saved before a restart
    if (now_ns - decided_ns_ >= undecided_max_ns) current_.reset();
    return before;
  }
  decided_ns_ = now_ns;
  if (!before) return current_ = *seen == GpuState::asleep ? GpuState::asleep : GpuState::active;
  if (*seen == *before) return before;
  const bool at_once = *seen == GpuState::active || *seen == GpuState::asleep || *before == GpuState::asleep;
  if (!at_once && now_ns - since_ns_ < enter_after_ns) return before;
  current_ = seen;
  return *seen == GpuState::active && *before != GpuState::asleep && !is_gap ? current_ : before;
}

}  // namespace perjoule
