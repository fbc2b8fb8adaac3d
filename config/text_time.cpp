#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <vector>

#include "config/text.hpp"

namespace perjoule::text {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Reads exactly `count` digits at `at`.
std::optional<int> field(std::string_view text, std::size_t at, std::size_t count) {
  if (text.size() < at + count) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(at, count)) {
    if (!is_digit(c)) return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

// "Z" or "+01:00": minutes east of UTC. Accepts hours up to 24 and minutes up to 60, as Go does.
std::optional<int> zone(std::string_view text) {
  if (text == "Z") return 0;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  const auto hours = field(text, 1, 2);
  const auto minutes = field(text, 4, 2);
  if (!hours || !minutes || *hours > 24 || *minutes > 60) return std::nullopt;
  return (text[0] == '-' ? -1 : 1) * (*hours * 60 + *minutes);
}

// Reads ".25" at `at` as 250 and moves `at` past the digits. 0 without a point; nothing if no digit follows the point.
// A comma is accepted as a point, as Go does.
std::optional<std::int64_t> fraction_ms(std::string_view text, std::size_t& at) {
  if (at == text.size() || (text[at] != '.' && text[at] != ',')) return 0;
  std::int64_t ms = 0;
  std::int64_t weight = 100;
  const std::size_t begin = ++at;
  for (; at < text.size() && is_digit(text[at]); ++at, weight /= 10)
    ms += (text[at] - '0') * weight;
  return at == begin ? std::nullopt : std::optional(ms);
}

// "Nov" as 11.
std::optional<int> month_of(std::string_view name) {
  constexpr std::string_view names = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const std::size_t at = name.size() == 3 ? names.find(name) : std::string_view::npos;
  if (at == std::string_view::npos || at % 3 != 0) return std::nullopt;
  return static_cast<int>(at / 3) + 1;
}

// "08:49:37". A leap second counts as the second before it.
std::optional<int> second_of_day(std::string_view text) {
  const auto hour = field(text, 0, 2);
  const auto minute = field(text, 3, 2);
  const auto second = field(text, 6, 2);
  if (text.size() != 8 || text[2] != ':' || text[5] != ':' || !hour || !minute || !second) return std::nullopt;
  if (*hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return (*hour * 60 + *minute) * 60 + std::min(*second, 59);
}

bool knows_unit(std::string_view name) {
  for (const DurationUnit& unit : duration_units) {
    if (unit.name == name) return true;
  }
  return false;
}

// Removes the leading characters for which `belongs` is true, and returns them.
std::string_view split_front(std::string_view& text, bool (*belongs)(char)) {
  std::size_t length = 0;
  while (length < text.size() && belongs(text[length]))
    ++length;
  const std::string_view front = text.substr(0, length);
  text.remove_prefix(length);
  return front;
}

}  // namespace

std::string rfc3339(std::int64_t wall_ms, Decimals decimals) {
  using std::chrono::milliseconds;
  const std::chrono::sys_time<milliseconds> time{milliseconds(wall_ms)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  std::string out = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                                clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  const auto ms = clock.subseconds().count();
  if (decimals == Decimals::three || (decimals == Decimals::shortest && ms != 0)) out += fmt::format(".{:03}", ms);
  if (decimals == Decimals::shortest && ms != 0) out.erase(out.find_last_not_of('0') + 1);
  return out + 'Z';
}

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
  const auto year = field(text, 0, 4);
  const auto month = field(text, 5, 2);
  const auto day = field(text, 8, 2);
  const auto hour = field(text, 11, 2);
  const auto minute = field(text, 14, 2);
  const auto second = field(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  if (text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':') return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  std::size_t at = 19;
  const auto ms = fraction_ms(text, at);
  if (!ms) return std::nullopt;
  const auto east = zone(text.substr(at));
  if (!east) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return (((days * 24 + *hour) * 60 + *minute - *east) * 60 + *second) * 1000 + *ms;
}

std::optional<std::int64_t> parse_http_date(std::string_view text, std::int64_t wall_ms) {
  std::vector<std::string_view> words;  // day name, and the date in the order of its form
  for (std::size_t at = 0; at < text.size() && words.size() < 7;) {
    const std::size_t end = std::min(text.find_first_of(" -", at), text.size());
    if (end > at) words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  // Sun, 06 Nov 1994 08:49:37 GMT; Sunday, 06-Nov-94 08:49:37 GMT; Sun Nov  6 08:49:37 1994
  const bool comma = words.size() == 6 && words[0].ends_with(',') && words[5] == "GMT";
  if (!comma && words.size() != 5) return std::nullopt;
  const std::string_view day_word = comma ? words[1] : words[2];
  const std::string_view year_word = comma ? words[3] : words[4];
  const auto day = field(day_word, 0, day_word.size());
  auto year = field(year_word, 0, year_word.size());
  const auto month = month_of(comma ? words[2] : words[1]);
  const auto second = second_of_day(comma ? words[4] : words[3]);
  if (!day || !year || !month || !second || day_word.size() > 2 || year_word.size() > 4) return std::nullopt;
  if (year_word.size() == 2) {
    const int now = 1970 + static_cast<int>(wall_ms / duration_units[0].ms);
    *year += now / 100 * 100;
    if (*year > now + 50) *year -= 100;
    if (*year <= now - 50) *year += 100;
  }
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return (days * 86'400 + *second) * 1000;
}

Duration parse_duration(std::string_view text, std::int64_t max_ms) {
  if (text.empty()) return {0, DurationFault::malformed};
  Duration duration;
  std::size_t next = 0;  // the largest unit that may follow
  while (!text.empty()) {
    const std::string_view digits = split_front(text, is_digit);
    const std::string_view name = split_front(text, [](char c) { return lower(c) >= 'a' && lower(c) <= 'z'; });
    if (digits.empty()) return {0, DurationFault::malformed};
    if (name.empty() && text.empty()) return {0, DurationFault::no_unit};
    while (next < duration_units.size() && duration_units[next].name != name)
      ++next;
    if (next == duration_units.size())
      return {0, knows_unit(name) ? DurationFault::unit_order : DurationFault::malformed};
    const std::int64_t unit_ms = duration_units[next++].ms;
    std::int64_t number = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (read.ec != std::errc() || number > (max_ms - duration.ms) / unit_ms) return {0, DurationFault::too_long};
    duration.ms += number * unit_ms;
  }
  return duration;
}

}  // namespace perjoule::text
