#include "daemon/alerts/notify/alertmanager.hpp"

#include <algorithm>

namespace perjoule::alerts {

std::string alertmanager_body(std::span<const Notice> notices, std::int64_t until_ms, std::string_view generator_url) {
  std::string out = "[";
  for (const Notice& notice : notices) {
    // An end before the start is refused; a clock that was set back may ask for one.
    const std::int64_t ends_ms = std::max(notice.resolved ? notice.ends_ms : until_ms, notice.starts_ms);
    if (out.size() > 1) out += ',';
    out += '{';
    append_identity(out, notice);
    out += ',';
    append_member(out, "startsAt", rfc3339(notice.starts_ms));
    out += ',';
    append_member(out, "endsAt", rfc3339(ends_ms));
    if (!generator_url.empty()) {
      out += ',';
      append_member(out, "generatorURL", generator_url);
    }
    out += '}';
  }
  return out + ']';
}

std::string alertmanager_url(std::string_view base) {
  while (base.ends_with('/'))
    base.remove_suffix(1);
  return std::string(base) + "/api/v2/alerts";
}

}  // namespace perjoule::alerts
