#include <fmt/format.h>

#include <charconv>
#include <chrono>

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
