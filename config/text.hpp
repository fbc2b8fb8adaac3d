// Text forms that the whole daemon shares: JSON strings, times, durations, numbers, lower case.
//
// Every file, log line, HTTP body and message writes and reads them here and nowhere else; tests/layout_test holds it.
// Nothing depends on the locale. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace perjoule::text {

// ---- JSON strings (RFC 8259 section 7)

// With its quotes. Quotes, backslashes and control characters (DEL too: the string may be shown on a terminal) are
// escaped; bytes that are not UTF-8 become U+FFFD.
void append_quoted(std::string& out, std::string_view text);
[[nodiscard]] std::string quoted(std::string_view text);
// For messages: cut after 60 bytes and marked with "..."; bytes that are not UTF-8 become "?".
[[nodiscard]] std::string quoted_short(std::string_view text);

// ---- ASCII

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
[[nodiscard]] std::string lower(std::string_view text);
// `lower_case` has no capitals.
[[nodiscard]] bool equal_ignoring_case(std::string_view text, std::string_view lower_case);

// ---- Times (RFC 3339)

enum class Decimals : std::uint8_t {
  none,      // 2026-11-24T10:00:00Z, milliseconds cut off
  shortest,  // 2026-11-24T10:00:00.25Z, as Go's RFC3339Nano
  three,     // 2026-11-24T10:00:00.250Z
};
// In UTC; `wall_ms` counts milliseconds since 1970 and may be negative.
[[nodiscard]] std::string rfc3339(std::int64_t wall_ms, Decimals decimals = Decimals::shortest);
// "2026-11-24T10:00:00.25+01:00" in milliseconds since 1970; digits behind the third decimal are cut off. Nothing for
// a date that the calendar does not have, a leap second, or any other form.
[[nodiscard]] std::optional<std::int64_t> parse_rfc3339(std::string_view text);

// ---- Durations: "1h30m", whole numbers with units, the largest unit first, each at most once

struct DurationUnit {
  std::string_view name;
  std::int64_t ms;
};
// A day has 24 hours and a year 365 days, as in Prometheus.
inline constexpr std::array<DurationUnit, 7> duration_units = {{{"y", std::int64_t{365} * 86'400'000},
                                                                {"w", 604'800'000},
                                                                {"d", 86'400'000},
                                                                {"h", 3'600'000},
                                                                {"m", 60'000},
                                                                {"s", 1'000},
                                                                {"ms", 1}}};
enum class DurationFault : std::uint8_t { none, malformed, no_unit, unit_order, too_long };
struct Duration {
  std::int64_t ms = 0;  // meaningful without a fault
  DurationFault fault = DurationFault::none;
};
// `max_ms`: what is longer is `too_long`.
[[nodiscard]] Duration parse_duration(std::string_view text, std::int64_t max_ms);

// ---- Numbers: decimals that read back as the same double

// As the exposition formats write a sample: whole numbers below 9e15 in digits, else the shortest text, which may have
// an exponent; "NaN", "+Inf", "-Inf".
void append_number(std::string& out, double value);
// As Prometheus' API and the configuration write it: the shortest digits, never an exponent; "NaN", "+Inf", "-Inf".
void append_decimal(std::string& out, double value);
[[nodiscard]] std::string decimal(double value);
// As Go's strconv writes it with 'e': "1.5e+03".
[[nodiscard]] std::string scientific(double value);
// The shortest text of all, "1e+05" for 100000; "NaN", "+Inf", "-Inf".
void append_shortest(std::string& out, double value);

// The building blocks of the above, for writers with a buffer of their own. Each returns the end of what it wrote.
char* put_integer(char* to, std::int64_t value);        // at most 20 bytes
char* put_two_digits(char* to, std::uint32_t value);    // of a number below 100
char* put_three_digits(char* to, std::uint32_t value);  // of a number below 1000
// Whole numbers below 9e15, and numbers with up to six decimals that are exact: nearly every reading, several times as
// quick as std::to_chars. Null, and nothing written, for any other number. At most 24 bytes.
char* put_common(char* to, double value);

}  // namespace perjoule::text
