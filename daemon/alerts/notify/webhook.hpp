// The body of a webhook: Alertmanager's payload, version 4 (Alertmanager's notify/webhook and template.Data), because
// existing webhook receivers parse it. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "daemon/alerts/notice.hpp"

namespace perjoule::alerts {

// A group of one alert, as with `group_by: ['...']`: the labels of the alert are also groupLabels and commonLabels.
[[nodiscard]] std::string webhook_body(const Notice& notice, std::string_view daemon_url);

}  // namespace perjoule::alerts
