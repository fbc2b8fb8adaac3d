// What the alerts show of themselves.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule::alerts {

inline constexpr auto alert_count =
    gauge<Unit::none>("perjoule_alerts", "Alerts per rule and severity that are pending or firing now.", "alertname",
                      "severity", "state");

inline constexpr auto alert_overflows = counter<Unit::none>(
    "perjoule_alert_overflows_total",
    "What the evaluation of alert rules left out: series beyond its bound, alerts beyond theirs (counted at each "
    "evaluation), label sets that met two partners in a join, remembered states that could not be read.",
    "kind");

}  // namespace perjoule::alerts
