// Which of the firing alerts are sent. All of them are evaluated, logged and shown; a receiver gets one alert per GPU
// and cause. Pure; any thread.
//
// An alert belongs to a GPU (label uuid, else gpu) or to the whole node (it has neither label). It is not sent while
// another firing alert of the same cause stands for it, one of the same GPU or of the whole node, which
//   - has a higher severity, or
//   - has the same severity and comes first: an earlier rule, or an earlier label set of the same rule.
// An alert whose gpu and uuid are both empty belongs to no GPU, and only its own label set can stand for it. Alerts
// without a cause are all sent.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/alerts/alert.hpp"

namespace perjoule::alerts {

struct Subject {
  std::string name;  // of a GPU its uuid, else "gpu N"; of the node ""; of neither all labels of the alert
  bool is_gpu = false;
};
[[nodiscard]] Subject subject(const Alert& alert);

// `firing` in the order of the rules and their levels (Evaluator::firing). Alerts below `min_severity` are never sent.
[[nodiscard]] std::vector<Alert> choose(std::vector<Alert> firing, std::string_view min_severity);

}  // namespace perjoule::alerts
