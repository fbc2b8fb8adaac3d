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

inline constexpr auto notifications =
    counter<Unit::none>("perjoule_alert_notifications_total",
                        "Alerts that a receiver took: a webhook gets each incident's firing and resolution, an "
                        "Alertmanager what fires again each minute.",
                        "kind", "receiver");
inline constexpr auto notification_failures = counter<Unit::none>(
    "perjoule_alert_notification_failures_total",
    "POSTs that a receiver did not take; what they held is kept and sent again.", "kind", "receiver");
inline constexpr auto notifications_dropped = counter<Unit::none>(
    "perjoule_alert_notifications_dropped_total",
    "Alerts that a receiver will not learn of: beyond the bound of what is kept, or called wrong by the receiver.",
    "kind", "receiver");
inline constexpr auto notifications_pending =
    gauge<Unit::none>("perjoule_alert_notifications_pending",
                      "Incidents of which the receiver does not yet know the newest.", "kind", "receiver");

}  // namespace perjoule::alerts
