// The header field Retry-After (RFC 9110 10.2.3): when a client may ask again. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>

#include "daemon/http/response_reader.hpp"

namespace perjoule::http {

// Milliseconds from now, at least 0; nothing if there is no such field or it cannot be read. A date is compared with
// the server's own clock (its field Date) if it sent that, else with `wall_ms`.
[[nodiscard]] std::optional<std::int64_t> retry_after_ms(const Answer& answer, std::int64_t wall_ms);

}  // namespace perjoule::http
