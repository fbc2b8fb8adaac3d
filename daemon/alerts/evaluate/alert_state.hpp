// How one instance of one level stands, and how it moves: inactive, pending, firing. Pure.
//
//   inactive --raised--> pending --raised for `for`--> firing --cleared for `clear_for`--> inactive
//   pending  --not raised, or no data--> inactive
//   firing   --no data for `hold`--> inactive
//
// Between raise and clear lies a band in which nothing moves: a firing alert stays, an inactive one does too.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "daemon/alerts/rules/rule.hpp"

namespace perjoule::alerts {

enum class AlertStage : std::uint8_t { inactive, pending, firing };

// What moved: `dropped` is a pending one that was raised too shortly, `lost` a firing one without data.
enum class Change : std::uint8_t { none, pending, dropped, firing, resolved, lost };

struct AlertState {
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::min();

  AlertStage at = AlertStage::inactive;
  double value = 0;                        // the last that was known
  std::int64_t since_ms = 0;               // steady clock: pending since
  std::int64_t active_ms = 0;              // wall clock: likewise, as it was then
  std::int64_t starts_ms = 0;              // wall clock: firing since
  std::int64_t cleared_ms = never;         // steady clock: on the clear side since
  std::int64_t cleared_wall_ms = 0;        // wall clock: likewise, as it was then
  std::int64_t absent_ms = never;          // steady clock: without data since
  std::int64_t restored_until_ms = never;  // steady clock: brought over a restart, its windows are not full before
};

struct Moment {
  std::int64_t steady_ms = 0;
  std::int64_t wall_ms = 0;
};

struct Observed {
  std::optional<double> value;  // none: no data, of the expression or of a guard
  bool guarded = true;          // every guard is true
  bool windowed = false;        // a window is behind it, which after a restart fills anew
};

// The changes of one evaluation: at most two, since what needs no `for` is pending and firing at once.
struct Transitions {
  Change first = Change::none;
  Change second = Change::none;
};
[[nodiscard]] Transitions step(AlertState& state, const Level& level, std::int64_t hold_ms, const Observed& observed,
                               const Moment& now);

}  // namespace perjoule::alerts
