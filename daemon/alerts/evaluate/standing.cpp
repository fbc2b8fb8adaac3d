#include "daemon/alerts/evaluate/standing.hpp"

namespace perjoule::alerts {

namespace {

bool raises(const Level& level, double value) {
  return level.above ? value > level.raise : value < level.raise;
}

// Whether a firing alert goes on: it clears beyond the band only.
bool stays(const Level& level, double value) {
  if (!level.clear) return raises(level, value);
  return level.above ? value >= *level.clear : value <= *level.clear;
}

Change without_data(Standing& standing, std::int64_t hold_ms, std::int64_t now_ms) {
  if (standing.at == Standpoint::pending) {
    standing.at = Standpoint::inactive;
    return Change::dropped;
  }
  standing.cleared_ms = Standing::never;
  if (standing.absent_ms == Standing::never) standing.absent_ms = now_ms;
  if (now_ms - standing.absent_ms < hold_ms) return Change::none;
  standing.at = Standpoint::inactive;
  return Change::lost;
}

Change while_firing(Standing& standing, const Level& level, bool goes_on, const Moment& now) {
  if (goes_on) {
    standing.cleared_ms = Standing::never;
    return Change::none;
  }
  if (standing.cleared_ms == Standing::never) {
    standing.cleared_ms = now.steady_ms;
    standing.cleared_wall_ms = now.wall_ms;
  }
  if (now.steady_ms - standing.cleared_ms < level.clear_for_ms) return Change::none;
  standing.at = Standpoint::inactive;
  return Change::resolved;
}

}  // namespace

Moves step(Standing& standing, const Level& level, std::int64_t hold_ms, const Observed& observed, const Moment& now) {
  const bool raised = observed.value && observed.guarded && raises(level, *observed.value);
  const bool settling = standing.restored_until_ms != Standing::never && now.steady_ms < standing.restored_until_ms;
  if (standing.at == Standpoint::inactive && !raised) return {};
  if (observed.value) standing.value = *observed.value;
  // Until the first data come, and while a window fills anew, the daemon before the restart knew more.
  if (settling && !raised && (observed.windowed || !observed.value)) return {};
  if (observed.value && !observed.windowed) standing.restored_until_ms = Standing::never;
  if (!observed.value) return {without_data(standing, hold_ms, now.steady_ms)};

  Moves moves;
  standing.absent_ms = Standing::never;
  if (standing.at == Standpoint::inactive) {
    standing = Standing{Standpoint::pending, *observed.value, now.steady_ms, now.wall_ms};
    moves.first = Change::pending;
  }
  if (standing.at == Standpoint::firing)
    return {while_firing(standing, level, observed.guarded && stays(level, *observed.value), now)};
  if (!raised) {
    standing.at = Standpoint::inactive;
    return {Change::dropped};
  }
  if (now.steady_ms - standing.since_ms < level.for_ms) return moves;
  standing.at = Standpoint::firing;
  standing.starts_ms = now.wall_ms;
  moves.second = Change::firing;
  return moves;
}

}  // namespace perjoule::alerts
