#include "config/quantity_text.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "config/text.hpp"

namespace perjoule::config {
namespace {

struct Scale {
  std::string_view unit;
  std::int64_t factor;
};
constexpr std::array<Scale, 3> sizes = {{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}};
constexpr std::int64_t duration_max_ms = 1000 * text::duration_units.front().ms;
constexpr std::int64_t exact_max = std::int64_t{1} << 53;  // whole numbers up to here are exact in a double
constexpr std::string_view duration_help = "write whole numbers with units, such as 5s, 1h30m or 30d (ms s m h d w y)";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
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

// "512 MiB" -> "512", "MiB"; one blank between them is optional.
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
  const std::string quoted = text::quoted_short(text);
  const text::Duration duration = text::parse_duration(text, duration_max_ms);
  switch (duration.fault) {
    case text::DurationFault::none:
      return static_cast<double>(duration.ms) / 1000.0;
    case text::DurationFault::malformed:
      return Complaint{fmt::format("{} is not a duration", quoted), std::string(duration_help)};
    case text::DurationFault::no_unit:
      return Complaint{fmt::format("{} has no unit", quoted),
                       fmt::format("write {}s for seconds (ms s m h d w y)", text)};
    case text::DurationFault::unit_order:
      return Complaint{fmt::format("{}: units must go from large to small, each at most once", quoted),
                       std::string(duration_help)};
    case text::DurationFault::too_long:
      break;
  }
  return Complaint{fmt::format("{} is longer than 1000 years", quoted), ""};
}

Checked<double> parse_size(std::string_view text) {
  const auto [digits, unit] = split(text);
  for (const Scale& scale : sizes) {
    if (unit != scale.unit) continue;
    if (digits.empty() || !is_digit(digits.front())) break;
    const auto number = whole(digits);
    if (!number) break;
    if (*number > exact_max / scale.factor)
      return Complaint{fmt::format("{} is too large", text::quoted_short(text)), ""};
    return static_cast<double>(*number * scale.factor);
  }
  return Complaint{fmt::format("{} is not a size", text::quoted_short(text)), help_for_size(digits, unit)};
}

Checked<double> parse_power(std::string_view text) {
  const auto [digits, unit] = split(text);
  const auto number = fraction(digits);
  if (number && !std::signbit(*number)) {
    if (unit == "W") return *number;
    if (unit == "kW" && std::isfinite(*number * 1000)) return *number * 1000;
    if (unit.empty()) {
      return Complaint{fmt::format("{} has no unit", text::quoted_short(text)),
                       fmt::format("write {} W or {} kW", digits, digits)};
    }
  }
  return Complaint{fmt::format("{} is not a power", text::quoted_short(text)),
                   "write it in W or kW, such as 250 W or 1.2 kW"};
}

Checked<double> parse_number(std::string_view text) {
  if (const auto number = fraction(text)) return *number;
  return Complaint{fmt::format("{} is not a number", text::quoted_short(text)), ""};
}

Checked<double> parse_integer(std::string_view text) {
  const auto number = whole(text);
  if (number && *number >= -exact_max && *number <= exact_max) return static_cast<double>(*number);
  return Complaint{fmt::format("{} is not a whole number", text::quoted_short(text)), ""};
}

Checked<bool> parse_boolean(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return Complaint{fmt::format("{} is not a boolean", text::quoted_short(text)), "write true or false"};
}

std::string format_duration(double seconds) {
  std::int64_t rest = std::llround(seconds * 1000.0);
  if (rest == 0) return "0s";
  std::string written;
  for (const text::DurationUnit& unit : text::duration_units) {
    // Weeks are read but not written: 14d is easier to compare with 30d than 2w.
    if (unit.name == "w" || rest < unit.ms) continue;
    written += fmt::format("{}{}", rest / unit.ms, unit.name);
    rest %= unit.ms;
  }
  return written;
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
  // In kW only if that reads back as the same number.
  if (watts >= 1000 && watts / 1000 * 1000 == watts) return format_number(watts / 1000) + " kW";
  return format_number(watts) + " W";
}

std::string format_number(double number) {
  return text::decimal(number);
}

}  // namespace perjoule::config
