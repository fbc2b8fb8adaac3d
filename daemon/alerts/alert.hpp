// One alert, as the evaluator creates it and the notifiers send it. A plain value: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "collectors/labels.hpp"

namespace perjoule::alerts {

enum class Phase : std::uint8_t { pending, firing, resolved };

struct Alert {
  std::string name;      // of the rule; label `alertname`
  std::string severity;  // info, warning, critical
  std::string cause;     // of the rule; empty: none (choice.hpp)
  Labels labels;         // of the series, without alertname, severity and the external labels
  Phase phase = Phase::pending;
  std::int64_t starts_ms = 0;  // wall clock; when it began to fire, kept over restarts
  std::int64_t ends_ms = 0;    // wall clock; when it was resolved
  double value = 0;            // the value compared with the threshold, at the last evaluation that had data
  std::string reason;          // resolved: why ("no data" when the series vanished), else empty
  std::string summary;         // one sentence, with its placeholders replaced
  std::string runbook;         // name of a page in deploy/runbooks, a URL, or empty
};

// Whether name, severity and labels are equal: they identify an alert.
[[nodiscard]] bool same(const Alert& left, const Alert& right);
// info 0, warning 1, critical 2; another word, which only a damaged ledger can hold: 2.
[[nodiscard]] int severity_rank(std::string_view severity);

}  // namespace perjoule::alerts
