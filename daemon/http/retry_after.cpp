#include "daemon/http/retry_after.hpp"

#include <algorithm>
#include <charconv>

#include "config/text.hpp"

namespace perjoule::http {

std::optional<std::int64_t> retry_after_ms(const Answer& answer, std::int64_t wall_ms) {
  constexpr std::int64_t seconds_max = 1'000'000'000;
  const std::string& field = answer.retry_after;
  if (field.empty()) return std::nullopt;
  if (field.find_first_not_of("0123456789") == std::string::npos) {
    std::int64_t seconds = seconds_max;  // kept if the number is too large for its type
    std::from_chars(field.data(), field.data() + field.size(), seconds);
    return std::min(seconds, seconds_max) * 1000;
  }
  const auto until_ms = text::parse_http_date(field, wall_ms);
  if (!until_ms) return std::nullopt;
  return std::max<std::int64_t>(*until_ms - text::parse_http_date(answer.date, wall_ms).value_or(wall_ms), 0);
}

}  // namespace perjoule::http
