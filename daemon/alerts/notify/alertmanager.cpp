#include "daemon/alerts/notify/alertmanager.hpp"

#include <algorithm>

#include "config/json_writer.hpp"
#include "config/text.hpp"

namespace perjoule::alerts {

std::string alertmanager_body(std::span<const Notice> notices, std::int64_t until_ms, std::string_view generator_url) {
  std::string out;
  JsonWriter json(out);
  json.begin_array();
  for (const Notice& notice : notices) {
    // Alertmanager refuses an alert that ends before it starts, which a clock that was set back could cause.
    const std::int64_t ends_ms = std::max(notice.resolved ? notice.ends_ms : until_ms, notice.starts_ms);
    json.begin_object();
    append_identity(out, notice);
    json.member("startsAt", text::rfc3339(notice.starts_ms)).member("endsAt", text::rfc3339(ends_ms));
    if (!generator_url.empty()) json.member("generatorURL", generator_url);
    json.end_object();
  }
  json.end_array();
  return out;
}

std::string alertmanager_url(std::string_view base) {
  while (base.ends_with('/'))
    base.remove_suffix(1);
  return std::string(base) + "/api/v2/alerts";
}

}  // namespace perjoule::alerts
