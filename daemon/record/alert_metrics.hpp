// Metric families of alert evaluation and notification. They are declared here, below daemon/alerts, because the
// catalogue (daemon/families) needs them and may not include daemon/alerts. Constants only; any thread.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule::alerts {

inline constexpr auto alert_count =
    gauge<Unit::none>("perjoule_alerts", "Alerts that are pending or firing now, by rule and severity.", "alertname",
                      "severity", "state");

inline constexpr auto alerting_gpus = gauge<Unit::none>(
    "perjoule_alerting_gpus",
    "GPUs with a firing alert of a rule with this cause, of this severity or a higher one. Not additive: critical is "
    "in warning, and warning in info.",
    "cause", "severity");

inline constexpr auto alert_overflows = counter<Unit::none>(
    "perjoule_alert_overflows_total",
    "Items that alert evaluation skipped: series or alerts over the limit (counted at each evaluation), label sets "
    "with two matches in a join (partners), saved states that could not be read (unreadable).",
    "kind");

inline constexpr auto notifications =
    counter<Unit::none>("perjoule_alert_notifications_total",
                        "Alerts accepted by a receiver: a webhook gets each firing and each resolution once, an "
                        "Alertmanager gets every firing alert again each minute.",
                        "kind", "receiver");
inline constexpr auto notification_failures = counter<Unit::none>(
    "perjoule_alert_notification_failures_total",
    "Failed POSTs to a receiver. Their alerts are sent again, unless the receiver rejected them (HTTP 400, 413, 422).",
    "kind", "receiver");
inline constexpr auto notifications_dropped = counter<Unit::none>(
    "perjoule_alert_notifications_dropped_total",
    "Alerts dropped without delivery: queue limit reached, or rejected by the receiver (HTTP 400, 413, 422).", "kind",
    "receiver");
inline constexpr auto notifications_pending =
    gauge<Unit::none>("perjoule_alert_notifications_pending",
                      "Incidents whose newest state has not been delivered to the receiver yet.", "kind", "receiver");

inline constexpr auto maintenance_active =
    gauge<Unit::none>("perjoule_maintenance_active",
                      "1 while alerts are evaluated and shown but not sent (perjouled maintenance on), else 0.");
inline constexpr auto maintenance_until =
    gauge<Unit::second>("perjoule_maintenance_until_timestamp_seconds",
                        "When the maintenance ends by itself, in seconds since the epoch; absent without one.");

}  // namespace perjoule::alerts
