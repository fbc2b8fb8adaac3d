// What Prometheus 2.42 says at /api/v1/alerts and /api/v1/rules, of the daemon's own rules: so Grafana lists them.
// Pure; any thread.
//
// Each level of a rule is one of Prometheus' rules, in the PromQL that `describe rules` writes. An alert bears the
// labels and annotations that its receivers see, without the external labels, as in Prometheus. What an evaluation took
// is left out where it is not known: of a single rule, and before the first.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "daemon/alerts/evaluate/evaluator.hpp"
#include "daemon/alerts/notice.hpp"
#include "daemon/query/api.hpp"

namespace perjoule::alerts {

// How the rules stand.
struct Report {
  std::span<const Rule> rules;
  std::vector<Active> active;     // in the order of rules and levels
  std::int64_t evaluated_ms = 0;  // wall clock, the last evaluation; 0: none yet
  double evaluation_seconds = 0;  // what it took
};

// `path` is "alerts" or "rules", which reads the parameter `type`: "alert" or "record".
[[nodiscard]] query::Answer answer(std::string_view path, const query::Parameters& parameters, const Report& report,
                                   const Links& links);

}  // namespace perjoule::alerts
