// One alert as every part of the room sees it: the evaluator makes it, the notifiers send it. Values only.
#pragma once

#include <cstdint>
#include <string>

#include "collectors/labels.hpp"

namespace perjoule::alerts {

enum class Phase : std::uint8_t { pending, firing, resolved };

struct Alert {
  std::string name;      // `alertname`
  std::string severity;  // info, warning, critical
  Labels labels;         // of the instance, without alertname, severity and the external labels
  Phase phase = Phase::pending;
  std::int64_t starts_ms = 0;  // wall clock; firing: when it began to fire, kept over restarts
  std::int64_t ends_ms = 0;    // wall clock; resolved: when
  double value = 0;            // what was compared, at the last evaluation that had data
  std::string reason;          // resolved: why ("no data" when the series vanished), else empty
  std::string summary;         // one sentence, {label} and {value} filled in
  std::string runbook;         // name of the page in deploy/runbooks, or empty
};

// Name, severity and labels make the identity: an incident is one alert from its firing to its resolution.
[[nodiscard]] bool same(const Alert& left, const Alert& right);

}  // namespace perjoule::alerts
