// Metric families of the HTTP client. Constants only; any thread.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule::http {

inline constexpr auto client_connections =
    counter<Unit::none>("perjoule_http_client_connections_total",
                        "Connections to receivers: opened; reused, once per request on a kept one; retried, once per "
                        "request that a kept one "
                        "lost and that was sent again on a new one; closed by the server while kept.",
                        "event");

inline constexpr auto client_kept = gauge<Unit::none>("perjoule_http_client_kept_connections",
                                                      "Connections to receivers that are kept for the next request.");

inline constexpr auto client_limits = counter<Unit::none>(
    "perjoule_http_client_limits_total",
    "How often a limit of requests to receivers was reached: kept connections in all (connections) or of one host "
    "(connections_of_host), time kept (age), size of a response (header, body) or of a file (file), name lookups that "
    "waited for others (lookups), a Retry-After that was cut (retry_after).",
    "limit");

}  // namespace perjoule::http
