// The body of POST /api/v2/alerts for Alertmanager (postableAlerts in its api/v2/openapi.yaml). Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "daemon/alerts/notice.hpp"

namespace perjoule::alerts {

// `until_ms` (wall clock) is the endsAt of firing alerts: unless they are sent again before, Alertmanager resolves them
// at that time, for example if this daemon dies. An empty `generator_url` is left out.
[[nodiscard]] std::string alertmanager_body(std::span<const Notice> notices, std::int64_t until_ms,
                                            std::string_view generator_url);

// The URL of the API below a configured base: "http://am:9093/prefix/" -> "http://am:9093/prefix/api/v2/alerts".
[[nodiscard]] std::string alertmanager_url(std::string_view base);

}  // namespace perjoule::alerts
