// The body that Alertmanager's API v2 takes at POST /api/v2/alerts (api/v2/openapi.yaml, postableAlerts). Pure; any
// thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "daemon/alerts/notice.hpp"

namespace perjoule::alerts {

// A firing alert says until when it holds unless it is told again: should this daemon die, Alertmanager resolves it
// then. `until_ms` is wall clock. `generator_url` is left out when it is empty.
[[nodiscard]] std::string alertmanager_body(std::span<const Notice> notices, std::int64_t until_ms,
                                            std::string_view generator_url);

// Of the API below a configured base: "http://am:9093/prefix/" -> "http://am:9093/prefix/api/v2/alerts".
[[nodiscard]] std::string alertmanager_url(std::string_view base);

}  // namespace perjoule::alerts
