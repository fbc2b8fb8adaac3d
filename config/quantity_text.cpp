#include "config/quantity_text.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "config/json_reader.hpp"

namespace perjoule::config {
namespace {

struct Scale {
  std::string_view unit;
  std::int64_t factor;
};
constexpr std::int64_t day_ms = 86'400'000;
constexpr std::array<Scale, 7> durations = {
    {{"y", 365 * day_ms}, {"w", 7 * day_ms}, {"d", day_ms}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Scale, 3> sizes = {{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}};
constexpr std::int64_t duration_max_ms = 1000 * 365 * day_ms;
constexpr std::int64_t exact_max = std::int64_t{1} << 53;  // whole numbers up to here are exact in a double
constexpr std::string_view duration_help = "write whole numbers with units, such as 5s, 1h30m or 30d (ms s m h d w y)";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string_view take(std::string_view& text, bool (*belongs)(char)) {
  std::size_t length = 0;
  while (length < text.size() && belongs(text[length]))
    ++length;
  const std::string_view taken = text.substr(0, length);
  text.remove_prefix(length);
  return taken;
}

std::optional<std::int64_t> whole(std::string_view digits) {
  std::int64_t number = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (read.ec != std::errc() || read.ptr != digits.data() + digits.size()) return std::nullopt;
  return number;
}

std::optional<double> fraction(std::string_view text) {
  double number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

// "512 MiB" -> "512", "MiB": at most one blank between them.
struct NumberAndUnit {
  std::string_view number;
  std::string_view unit;
};
NumberAndUnit split(std::string_view text) {
  std::size_t letters = text.size();
  while (letters > 0 && is_letter(text[letters - 1]))
    --letters;
  std::string_view number = text.substr(0, letters);
  if (number.ends_with(' ')) number.remove_suffix(1);
  return {number, text.substr(letters)};
}

std::string help_for_size(std::string_view number, std::string_view unit) {
  if (number.empty() || !is_digit(number.front()) || !whole(number))
    return "write a whole number with its unit, such as 512 MiB (KiB MiB GiB)";
  switch (unit.empty() ? ' ' : unit.front()) {
    case 'k':
    case 'K':
      return fmt::format("write {} KiB; sizes are binary: KiB MiB GiB", number);
    case 'm':
    case 'M':
      return fmt::format("write {} MiB; sizes are binary: KiB MiB GiB", number);
    case 'g':
    case 'G':
      return fmt::format("write {} GiB; sizes are binary: KiB MiB GiB", number);
    default:
      return "sizes are written in KiB, MiB or GiB, such as 512 MiB";
  }
}

}  // namespace

Checked<double> parse_duration(std::string_view text) {
  const std::string quoted = json::quote_short(text);
  std::int64_t total = 0;
  std::size_t next = 0;  // units come largest first
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view digits = take(rest, is_digit);
    const std::string_view unit = take(rest, is_letter);
    if (digits.empty()) return Complaint{fmt::format("{} is not a duration", quoted), std::string(duration_help)};
    if (unit.empty() && rest.empty()) {
      return Complaint{fmt::format("{} has no unit", quoted),
                       fmt::format("write {}s for seconds (ms s m h d w y)", text)};
    }
    std::size_t at = next;
    while (at < durations.size() && durations[at].unit != unit)
      ++at;
    if (at == durations.size()) {
      for (const Scale& scale : durations) {
        if (scale.unit == unit) {
          return Complaint{fmt::format("{}: units go from large to small, each once", quoted),
                           std::string(duration_help)};
        }
      }
      return Complaint{fmt::format("{} is not a duration", quoted), std::string(duration_help)};
    }
    next = at + 1;
    const auto number = whole(digits);
    if (!number || *number > (duration_max_ms - total) / durations[at].factor) {
      return Complaint{fmt::format("{} is longer than 1000 years", quoted), ""};
    }
    total += *number * durations[at].factor;
  }
  if (text.empty()) return Complaint{"\"\" is not a duration", std::string(duration_help)};
  return static_cast<double>(total) / 1000.0;
}

Checked<double> parse_size(std::string_view text) {
  const auto [digits, unit] = split(text);
  for (const Scale& scale : sizes) {
    if (unit != scale.unit) continue;
    if (digits.empty() || !is_digit(digits.front())) break;
    const auto number = whole(digits);
    if (!number) break;
    if (*number > exact_max / scale.factor)
      return Complaint{fmt::format("{} is too large", json::quote_short(text)), ""};
    return static_cast<double>(*number * scale.factor);
  }
  return Complaint{fmt::format("{} is not a size", json::quote_short(text)), help_for_size(digits, unit)};
}

Checked<double> parse_power(std::string_view text) {
  const auto [digits, unit] = split(text);
  const auto number = fraction(digits);
  if (number && !std::signbit(*number)) {
    if (unit == "W") return *number;
    if (unit == "kW" && std::isfinite(*number * 1000)) return *number * 1000;
    if (unit.empty()) {
      return Complaint{fmt::format("{} has no unit", json::quote_short(text)),
                       fmt::format("write {} W or {} kW", digits, digits)};
    }
  }
  return Complaint{fmt::format("{} is not a power", json::quote_short(text)),
                   "write it in W or kW, such as 250 W or 1.2 kW"};
}

Checked<double> parse_number(std::string_view text) {
  if (const auto number = fraction(text)) return *number;
  return Complaint{fmt::format("{} is not a number", json::quote_short(text)), ""};
}

Checked<double> parse_integer(std::string_view text) {
  const auto number = whole(text);
  if (number && *number >= -exact_max && *number <= exact_max) return static_cast<double>(*number);
  return Complaint{fmt::format("{} is not a whole number", json::quote_short(text)), ""};
}

Checked<bool> parse_boolean(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return Complaint{fmt::format("{} is not a boolean", json::quote_short(text)), "write true or false"};
}

std::string format_duration(double seconds) {
  std::int64_t rest = std::llround(seconds * 1000.0);
  if (rest == 0) return "0s";
  std::string text;
  for (const Scale& scale : durations) {
    // Weeks are read, but days are easier to compare.
    if (scale.unit == "w" || rest < scale.factor) continue;
    text += fmt::format("{}{}", rest / scale.factor, scale.unit);
    rest %= scale.factor;
  }
  return text;
}

std::string format_size(double bytes) {
  const std::int64_t whole_bytes = std::llround(bytes);
  for (const Scale& scale : sizes) {
    if (whole_bytes != 0 && whole_bytes % scale.factor == 0)
      return fmt::format("{} {}", whole_bytes / scale.factor, scale.unit);
  }
  return fmt::format("{} KiB", whole_bytes / 1024);
}

std::string format_power(double watts) {
  // In kW only where that reads back as the same number.
  if (watts >= 1000 && watts / 1000 * 1000 == watts) return format_number(watts / 1000) + " kW";
  return format_number(watts) + " W";
}

std::string format_number(double number) {
  std::array<char, 400> text{};  // the longest double in full has 309 digits before its point
  const auto written = std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  return std::string(text.data(), written.ptr);
}

}  // namespace perjoule::config
