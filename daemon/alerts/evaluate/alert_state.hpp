// The state machine of one alert: one level of one rule for one label set. Pure; any thread. Times are milliseconds.
//
//                 pending: raised                      firing: raised during all of `for`
//   +----------+ ---------------------> +---------+ --------------------------------------> +--------+
//   | inactive |                        | pending |                                         | firing |
//   +----------+ <--------------------- +---------+                                         +--------+
//        ^         dropped: not raised,                                                          |
//        |                  or no data                                                           |
//        |                                                                                       |
//        +---------------------------------------------------------------------------------------+
//                    resolved: cleared during all of `clear_for`
//                    lost:     no data during all of `hold`
//
// raised   every guard is true and the value is strictly beyond the raise threshold
// cleared  a guard is false, or the value is strictly beyond the clear threshold; without a clear threshold: not raised
//
// Between the two thresholds (hysteresis) an inactive alert stays inactive, a pending alert is dropped, and a firing
// alert stays firing.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "daemon/alerts/rules/rule.hpp"

namespace perjoule::alerts {

enum class AlertStage : std::uint8_t { inactive, pending, firing };

// One transition, named as in the drawing; `pending` and `firing` are the transitions into these states.
enum class Change : std::uint8_t { none, pending, dropped, firing, resolved, lost };

struct AlertState {
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::min();

  AlertStage at = AlertStage::inactive;
  double value = 0;                        // the last known value of the expression
  std::int64_t since_ms = 0;               // steady clock: pending since
  std::int64_t active_ms = 0;              // wall clock at the same moment; not changed by later clock steps
  std::int64_t starts_ms = 0;              // wall clock: firing since
  std::int64_t cleared_ms = never;         // steady clock: firing and cleared since
  std::int64_t cleared_wall_ms = 0;        // wall clock at the same moment
  std::int64_t absent_ms = never;          // steady clock: firing and without data since
  std::int64_t restored_until_ms = never;  // steady clock: restored after a restart, windows not full until then
};

struct Moment {
  std::int64_t steady_ms = 0;
  std::int64_t wall_ms = 0;
};

struct Observed {
  std::optional<double> value;  // none: the expression or a guard has no data
  bool guarded = true;          // every guard is true
  bool windowed = false;        // a term of the rule has a window, which is empty after a restart
};

// The transitions of one evaluation, in order. There are at most two: an alert of a level without `for` becomes pending
// and firing at once.
struct Transitions {
  Change first = Change::none;
  Change second = Change::none;
};
// One evaluation: updates `state` and returns its transitions.
[[nodiscard]] Transitions step(AlertState& state, const Level& level, std::int64_t hold_ms, const Observed& observed,
                               const Moment& now);

}  // namespace perjoule::alerts
