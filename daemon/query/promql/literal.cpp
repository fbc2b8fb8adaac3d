#include "daemon/query/promql/literal.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>

namespace perjoule::query {
namespace {

constexpr double time_max_s = 4e12;  // far beyond it a double has no milliseconds

struct Scale {
  std::string_view unit;
  std::int64_t ms;
};
constexpr std::int64_t day_ms = 86'400'000;
constexpr std::array<Scale, 7> scales = {
    {{"y", 365 * day_ms}, {"w", 7 * day_ms}, {"d", day_ms}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};
constexpr std::int64_t duration_max_ms = std::numeric_limits<std::int64_t>::max() / 1'000'000;  // Go counts nanoseconds

bool equal_lower(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != lower[i]) return false;
  }
  return true;
}

// strconv.ParseFloat without hexadecimal fractions: sign, digits, exponent, inf, infinity, nan.
std::optional<double> parse_float(std::string_view text) {
  double sign = 1;
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
    sign = text.front() == '-' ? -1 : 1;
    text.remove_prefix(1);
  }
  if (equal_lower(text, "inf") || equal_lower(text, "infinity")) return sign * std::numeric_limits<double>::infinity();
  if (equal_lower(text, "nan")) return std::numeric_limits<double>::quiet_NaN();
  if (text.empty() || !((text.front() >= '0' && text.front() <= '9') || text.front() == '.')) return {};
  double value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size()) return {};
  if (problem == std::errc::result_out_of_range) {
    // Too small is 0, too large is an error. from_chars does not say which.
    const std::size_t exponent = text.find_first_of("eE");
    if (exponent == std::string_view::npos || text.substr(exponent + 1, 1) != "-") return {};
    return sign * 0.0;
  }
  if (problem != std::errc()) return {};
  return sign * value;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  int base = 10;
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
    base = 16;
    text.remove_prefix(2);
  } else if (text.size() > 1 && text[0] == '0') {
    base = 8;
  }
  std::int64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || text.front() == '-' || problem != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

void append_utf8(std::string& out, std::uint32_t c) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

// A number of exactly `count` digits behind a backslash; takes them from `rest`.
std::optional<std::uint32_t> take_digits(std::string_view& rest, std::size_t count, int base, std::uint32_t max) {
  if (rest.size() < count) return {};
  std::uint32_t value = 0;
  const auto [end, problem] = std::from_chars(rest.data(), rest.data() + count, value, base);
  if (problem != std::errc() || end != rest.data() + count || value > max) return {};
  rest.remove_prefix(count);
  return value;
}

// What a backslash stands before; takes it from `rest`.
bool unescape(std::string& out, std::string_view& rest, char quote) {
  if (rest.empty()) return false;
  const char c = rest.front();
  constexpr std::string_view letters = "abfnrtv\\";
  constexpr std::string_view values = "\a\b\f\n\r\t\v\\";
  std::optional<std::uint32_t> code;
  if (const std::size_t at = letters.find(c); at != std::string_view::npos) {
    out += values[at];
    rest.remove_prefix(1);
    return true;
  }
  if (c == quote) {
    out += c;
    rest.remove_prefix(1);
    return true;
  }
  if (c >= '0' && c <= '7') {
    code = take_digits(rest, 3, 8, 255);
    if (code) out += static_cast<char>(*code);
    return code.has_value();
  }
  rest.remove_prefix(1);
  if (c == 'x') {
    code = take_digits(rest, 2, 16, 255);
    if (code) out += static_cast<char>(*code);
  } else if (c == 'u' || c == 'U') {
    code = take_digits(rest, c == 'u' ? 4 : 8, 16, 0x10FFFF);
    if (code && *code >= 0xD800 && *code < 0xE000) return false;
    if (code) append_utf8(out, *code);
  }
  return code.has_value();
}

// A number of `count` digits at `at`.
std::optional<int> field(std::string_view text, std::size_t at, std::size_t count) {
  std::string_view rest = text.size() >= at ? text.substr(at) : std::string_view();
  const auto value = take_digits(rest, count, 10, 9999);
  return value ? std::optional<int>(static_cast<int>(*value)) : std::nullopt;
}

// "Z" or "+01:00": minutes east.
std::optional<int> zone(std::string_view text) {
  if (text == "Z") return 0;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return {};
  const auto hours = field(text, 1, 2);
  const auto minutes = field(text, 4, 2);
  if (!hours || !minutes || *hours > 24 || *minutes > 60) return {};
  return (text[0] == '-' ? -1 : 1) * (*hours * 60 + *minutes);
}

std::optional<std::int64_t> read_rfc3339(std::string_view text) {
  const auto year = field(text, 0, 4);
  const auto month = field(text, 5, 2);
  const auto day = field(text, 8, 2);
  const auto hour = field(text, 11, 2);
  const auto minute = field(text, 14, 2);
  const auto second = field(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return {};
  if (text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':') return {};
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return {};
  std::int64_t ms = 0;
  std::size_t at = 19;
  if (at < text.size() && (text[at] == '.' || text[at] == ',')) {
    std::int64_t weight = 100;
    const std::size_t begin = ++at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, weight /= 10)
      ms += (text[at] - '0') * weight;
    if (at == begin) return {};
  }
  const auto east = zone(text.substr(at));
  if (!east) return {};
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return (((days * 24 + *hour) * 60 + *minute - *east) * 60 + *second) * 1000 + ms;
}

}  // namespace

std::optional<double> read_number(std::string_view text) {
  if (const auto integer = parse_integer(text)) return static_cast<double>(*integer);
  return parse_float(text);
}

bool is_number(std::string_view text) {
  return parse_float(text).has_value();
}

std::optional<std::int64_t> read_duration(std::string_view text) {
  if (text == "0") return 0;
  if (text.empty()) return {};
  std::int64_t total = 0;
  std::size_t next = 0;  // the largest unit that may follow
  while (!text.empty()) {
    std::int64_t number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem != std::errc() || text.front() == '-') return {};
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    std::size_t length = text.empty() ? 0 : 1;
    if (text.starts_with("ms")) length = 2;
    const std::string_view unit = text.substr(0, length);
    while (next < scales.size() && scales[next].unit != unit)
      ++next;
    if (next == scales.size()) return {};
    const std::int64_t ms = scales[next].ms;
    if (number > (duration_max_ms - total) / ms) return {};
    total += number * ms;
    ++next;
    text.remove_prefix(length);
  }
  return total;
}

std::optional<std::string> unquote(std::string_view text) {
  if (text.size() < 2 || text.front() != text.back()) return {};
  const char quote = text.front();
  text = text.substr(1, text.size() - 2);
  if (quote == '`') return std::string(text);
  std::string out;
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c != '\\') {
      out += c;
    } else if (!unescape(out, text, quote)) {
      return {};
    }
  }
  return out;
}

std::optional<std::int64_t> read_time(std::string_view text) {
  const auto seconds = parse_float(text);
  if (!seconds) return read_rfc3339(text);
  if (!(std::fabs(*seconds) < time_max_s)) return {};
  // The order of operations is Prometheus', so that the same text is the same millisecond.
  double whole = 0;
  const double fraction = std::round(std::modf(*seconds, &whole) * 1000) / 1000;
  const auto nanoseconds = static_cast<std::int64_t>(fraction * 1e9);
  const std::int64_t ms = nanoseconds >= 0 ? nanoseconds / 1'000'000 : -((-nanoseconds + 999'999) / 1'000'000);
  return static_cast<std::int64_t>(whole) * 1000 + ms;
}

std::optional<std::int64_t> read_step(std::string_view text) {
  const auto seconds = parse_float(text);
  if (!seconds) return read_duration(text);
  const double nanoseconds = *seconds * 1e9;
  if (!(std::fabs(nanoseconds) < 9.2e18)) return {};
  return static_cast<std::int64_t>(nanoseconds) / 1'000'000;
}

}  // namespace perjoule::query
