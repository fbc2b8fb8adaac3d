// The answers of /api/v1/alerts and /api/v1/rules about the daemon's own rules, in the form of Prometheus 2.42, so that
// Grafana can list them. Pure; any thread.
//
// Each level of a rule becomes one Prometheus rule, with the PromQL that `describe rules` writes. An alert has the
// labels and annotations that its receivers get, without the external labels, as in Prometheus. evaluationTime is left
// out where it is not known: for single rules, and before the first evaluation.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "daemon/alerts/evaluate/evaluator.hpp"
#include "daemon/alerts/notice.hpp"
#include "daemon/query/api.hpp"

namespace perjoule::alerts {

// The state of the rules.
struct Report {
  std::span<const Rule> rules;
  std::vector<Active> active;     // in the order of rules and levels
  std::int64_t evaluated_ms = 0;  // wall clock of the last evaluation; 0 before the first
  double evaluation_seconds = 0;  // its duration, of all rules together
};

// `path`: "alerts" or "rules". "rules" reads the parameter `type`, "alert" or "record"; any other value: 400, bad_data.
[[nodiscard]] query::Answer answer(std::string_view path, const query::Parameters& parameters, const Report& report,
                                   const Links& links);

}  // namespace perjoule::alerts
