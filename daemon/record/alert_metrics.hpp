// Metrics about alerts and their delivery: declarations only, set by alerts/evaluate/engine.cpp and
// alerts/notify/dispatch.cpp. Any thread.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule::alerts {

inline constexpr auto alert_count =
    gauge<Unit::none>("perjoule_alerts", "Alerts that are pending or firing now, by rule and severity.", "alertname",
                      "severity", "state");

inline constexpr auto alert_overflows = counter<Unit::none>(
    "perjoule_alert_overflows_total",
    "Items skipped by the alert evaluation: series over the limit, alerts over the limit (counted at each "
    "evaluation), label sets with more than one join partner, saved alert states that could not be read.",
    "kind");

inline constexpr auto notifications =
    counter<Unit::none>("perjoule_alert_notifications_total",
                        "Alerts delivered: a webhook gets the firing and the resolution of each incident once, an "
                        "Alertmanager gets firing alerts again every minute.",
                        "kind", "receiver");
inline constexpr auto notification_failures = counter<Unit::none>(
    "perjoule_alert_notification_failures_total",
    "Failed POSTs to a receiver. Their alerts are sent again, except after HTTP 400, 413 or 422.", "kind", "receiver");
inline constexpr auto notifications_dropped = counter<Unit::none>(
    "perjoule_alert_notifications_dropped_total",
    "Alerts dropped without delivery: queue limit reached, or rejected by the receiver (HTTP 400, 413 or 422).", "kind",
    "receiver");
inline constexpr auto notifications_pending =
    gauge<Unit::none>("perjoule_alert_notifications_pending",
                      "Incidents whose newest state has not been delivered to the receiver yet.", "kind", "receiver");

}  // namespace perjoule::alerts
