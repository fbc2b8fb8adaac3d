#include "daemon/query/promql/literal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "config/text.hpp"

namespace perjoule::query {
namespace {

constexpr double time_max_s = 4e12;  // below 2^42 s, where a double resolves half a millisecond

constexpr std::int64_t duration_max_ms = std::numeric_limits<std::int64_t>::max() / 1'000'000;  // Go counts nanoseconds

// strconv.ParseFloat without hexadecimal fractions: sign, digits, exponent, inf, infinity, nan.
std::optional<double> parse_float(std::string_view text) {
  double sign = 1;
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
    sign = text.front() == '-' ? -1 : 1;
    text.remove_prefix(1);
  }
  if (text::equal_ignoring_case(text, "inf") || text::equal_ignoring_case(text, "infinity"))
    return sign * std::numeric_limits<double>::infinity();
  if (text::equal_ignoring_case(text, "nan")) return std::numeric_limits<double>::quiet_NaN();
  if (text.empty() || !((text.front() >= '0' && text.front() <= '9') || text.front() == '.')) return {};
  double value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size()) return {};
  if (problem == std::errc::result_out_of_range) {
    // Go reads a number that is too small as 0 and refuses one that is too large. from_chars does not distinguish the
    // two; the sign of the exponent does.
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

// Removes exactly `count` digits from the front of `rest` and returns the number that they form. Nothing if there are
// fewer digits or the number is over `max`.
std::optional<std::uint32_t> split_digits(std::string_view& rest, std::size_t count, int base, std::uint32_t max) {
  if (rest.size() < count) return {};
  std::uint32_t value = 0;
  const auto [end, problem] = std::from_chars(rest.data(), rest.data() + count, value, base);
  if (problem != std::errc() || end != rest.data() + count || value > max) return {};
  rest.remove_prefix(count);
  return value;
}

// Removes an escape sequence, whose backslash is already removed, from the front of `rest` and appends what it stands
// for. False if it is invalid.
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
    code = split_digits(rest, 3, 8, 255);
    if (code) out += static_cast<char>(*code);
    return code.has_value();
  }
  rest.remove_prefix(1);
  if (c == 'x') {
    code = split_digits(rest, 2, 16, 255);
    if (code) out += static_cast<char>(*code);
  } else if (c == 'u' || c == 'U') {
    code = split_digits(rest, c == 'u' ? 4 : 8, 16, 0x10FFFF);
    if (code && *code >= 0xD800 && *code < 0xE000) return false;
    if (code) append_utf8(out, *code);
  }
  return code.has_value();
}

Error not_a_duration(std::string_view name, std::string_view text) {
  return invalid(name, fmt::format("cannot parse {} to a valid duration{}", text::quoted_short(text),
                                   is_number(text) ? ". It overflows int64" : ""));
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
  const text::Duration duration = text::parse_duration(text, duration_max_ms);
  return duration.fault == text::DurationFault::none ? std::optional(duration.ms) : std::nullopt;
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
  if (!seconds) return text::parse_rfc3339(text);
  if (!(std::fabs(*seconds) < time_max_s)) return {};
  // The same operations in the same order as in Prometheus (web/api/v1, parseTime), so that the same string gives the
  // same millisecond.
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

std::string_view parameter(const Parameters& parameters, std::string_view name) {
  const auto at =
      std::find_if(parameters.begin(), parameters.end(), [name](const auto& pair) { return pair.first == name; });
  return at == parameters.end() ? std::string_view() : std::string_view(at->second);
}

Error invalid(std::string_view name, std::string_view what) {
  return Error{Fault::broken, fmt::format("invalid parameter \"{}\": {}", name, what)};
}

Result<std::int64_t> time_parameter(const Parameters& parameters, std::string_view name,
                                    std::optional<std::int64_t> otherwise) {
  const std::string_view text = parameter(parameters, name);
  if (text.empty() && otherwise) return *otherwise;
  const auto ms = read_time(text);
  if (!ms) {
    // Prometheus' message is longer for a parameter that may be left out.
    const std::string which = otherwise ? fmt::format("Invalid time value for '{}': ", name) : std::string();
    return invalid(name, fmt::format("{}cannot parse {} to a valid timestamp", which, text::quoted_short(text)));
  }
  return *ms;
}

Result<std::int64_t> step_parameter(const Parameters& parameters) {
  const std::string_view text = parameter(parameters, "step");
  const auto ms = read_step(text);
  if (!ms) return not_a_duration("step", text);
  if (*ms <= 0) {
    return invalid("step", "zero or negative query resolution step widths are not accepted. Try a positive integer");
  }
  return *ms;
}

Result<void> check_timeout(const Parameters& parameters) {
  const std::string_view text = parameter(parameters, "timeout");
  if (text.empty() || read_step(text)) return {};
  return not_a_duration("timeout", text);
}

Result<std::int64_t> source_resolution_parameter(const Parameters& parameters, std::int64_t step_ms) {
  const std::string_view text = parameter(parameters, "max_source_resolution");
  if (text.empty()) return std::int64_t{0};
  if (text == "auto") return step_ms / 5;
  const auto ms = read_step(text);
  if (!ms) return not_a_duration("max_source_resolution", text);
  if (*ms < 0) return invalid("max_source_resolution", "negative source resolutions are not accepted");
  return *ms;
}

Result<std::size_t> limit_parameter(const Parameters& parameters) {
  const std::string_view text = parameter(parameters, "limit");
  std::size_t limit = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (text.empty()) return std::size_t{0};
  if (problem != std::errc() || end != text.data() + text.size()) return invalid("limit", "limit must be a number");
  return limit;
}

}  // namespace perjoule::query
