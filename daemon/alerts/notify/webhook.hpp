// Alertmanager's webhook payload, version 4 (notify/webhook, template.Data): what hundreds of receivers parse already.
// Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "daemon/alerts/notice.hpp"

namespace perjoule::alerts {

// One alert is a group of its own (`group_by: ['...']`): its labels are the group's labels and the common ones.
[[nodiscard]] std::string webhook_body(const Notice& notice, std::string_view daemon_url);

}  // namespace perjoule::alerts
