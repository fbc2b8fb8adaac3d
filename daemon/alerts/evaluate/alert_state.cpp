#include "daemon/alerts/evaluate/alert_state.hpp"

namespace perjoule::alerts {

namespace {

bool raises(const Level& level, double value) {
  return level.above ? value > level.raise : value < level.raise;
}

// Whether a firing alert stays firing: it clears only beyond the clear threshold (hysteresis).
bool stays(const Level& level, double value) {
  if (!level.clear) return raises(level, value);
  return level.above ? value >= *level.clear : value <= *level.clear;
}

Change without_data(AlertState& state, std::int64_t hold_ms, std::int64_t now_ms) {
  if (state.at == AlertStage::pending) {
    state.at = AlertStage::inactive;
    return Change::dropped;
  }
  state.cleared_ms = AlertState::never;
  if (state.absent_ms == AlertState::never) state.absent_ms = now_ms;
  if (now_ms - state.absent_ms < hold_ms) return Change::none;
  state.at = AlertStage::inactive;
  return Change::lost;
}

Change while_firing(AlertState& state, const Level& level, bool goes_on, const Moment& now) {
  if (goes_on) {
    state.cleared_ms = AlertState::never;
    return Change::none;
  }
  if (state.cleared_ms == AlertState::never) {
    state.cleared_ms = now.steady_ms;
    state.cleared_wall_ms = now.wall_ms;
  }
  if (now.steady_ms - state.cleared_ms < level.clear_for_ms) return Change::none;
  state.at = AlertStage::inactive;
  return Change::resolved;
}

}  // namespace

Transitions step(AlertState& state, const Level& level, std::int64_t hold_ms, const Observed& observed,
                 const Moment& now) {
  const bool raised = observed.value && observed.guarded && raises(level, *observed.value);
  const bool settling = state.restored_until_ms != AlertState::never && now.steady_ms < state.restored_until_ms;
  if (state.at == AlertStage::inactive && !raised) return {};
  if (observed.value) state.value = *observed.value;
  // After a restart, keep the restored state until fresh data arrive or, for a rule with windows, until they are full.
  if (settling && !raised && (observed.windowed || !observed.value)) return {};
  if (observed.value && !observed.windowed) state.restored_until_ms = AlertState::never;
  if (!observed.value) return {without_data(state, hold_ms, now.steady_ms)};

  Transitions transitions;
  state.absent_ms = AlertState::never;
  if (state.at == AlertStage::inactive) {
    state = AlertState{AlertStage::pending, *observed.value, now.steady_ms, now.wall_ms};
    transitions.first = Change::pending;
  }
  if (state.at == AlertStage::firing)
    return {while_firing(state, level, observed.guarded && stays(level, *observed.value), now)};
  if (!raised) {
    state.at = AlertStage::inactive;
    return {Change::dropped};
  }
  if (now.steady_ms - state.since_ms < level.for_ms) return transitions;
  state.at = AlertStage::firing;
  state.starts_ms = now.wall_ms;
  transitions.second = Change::firing;
  return transitions;
}

}  // namespace perjoule::alerts
