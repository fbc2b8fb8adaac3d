// The string forms that the whole daemon shares: JSON strings, times, durations, numbers, lower case.
//
// Every file, log line, HTTP body and message is written and read with these functions; tests/layout_test reports a
// second implementation. Nothing depends on the locale. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace perjoule::text {

// ---- JSON strings (RFC 8259 section 7)

// Writes the string with its quotes. Escapes quotes, backslashes and what printable() escapes, because the string may
// be shown on a terminal. Bytes that are not UTF-8 become U+FFFD.
void append_quoted(std::string& out, std::string_view text);
[[nodiscard]] std::string quoted(std::string_view text);
// For messages: at most 60 bytes of `text`, then "..." if it is longer. Bytes that are not UTF-8 become "?".
[[nodiscard]] std::string quoted_short(std::string_view text);

// ---- Text of others on a terminal, a page or in a log

// Names of chips and files, configuration lines and requests are not ours, and could forge a line, hide a part of it or
// drive the terminal. Whatever of them a person sees goes through this function, or through quoted(), which escapes the
// same: control characters (C0 with the newline, DEL, C1), line separators, the controls of text direction, characters
// without width, as "\n" and "\u001b"; bytes that are not UTF-8 as "\x9b". The result is UTF-8 on one line.
[[nodiscard]] std::string printable(std::string_view text);

// ---- ASCII

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
[[nodiscard]] std::string lower(std::string_view text);
// `lower_case` must not contain capital letters.
[[nodiscard]] bool equal_ignoring_case(std::string_view text, std::string_view lower_case);

// ---- Times (RFC 3339)

enum class Decimals : std::uint8_t {
  none,      // 2026-11-24T10:00:00Z, milliseconds cut off
  shortest,  // 2026-11-24T10:00:00.25Z, as Go's RFC3339Nano writes it
  three,     // 2026-11-24T10:00:00.250Z
};
// In UTC. `wall_ms`: milliseconds since 1970, may be negative.
[[nodiscard]] std::string rfc3339(std::int64_t wall_ms, Decimals decimals = Decimals::shortest);
// Reads "2026-11-24T10:00:00.25+01:00" as milliseconds since 1970; digits after the third decimal are cut off. Nothing
// if the date does not exist, for a leap second, and for any other form.
[[nodiscard]] std::optional<std::int64_t> parse_rfc3339(std::string_view text);

// An HTTP date in one of its three forms (RFC 9110 section 5.6.7), as milliseconds since 1970. A year of two digits is
// the one nearest to `wall_ms` that is at most 50 years ahead. Nothing for any other form; the name of the day is not
// checked.
[[nodiscard]] std::optional<std::int64_t> parse_http_date(std::string_view text, std::int64_t wall_ms);

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
  std::int64_t ms = 0;  // valid only without a fault
  DurationFault fault = DurationFault::none;
};
// A duration longer than `max_ms` is `too_long`.
[[nodiscard]] Duration parse_duration(std::string_view text, std::int64_t max_ms);

// ---- Numbers: decimal forms that read back as the same double

// For samples in the exposition formats: whole numbers below 9e15 in digits, else the shortest form, which may have an
// exponent; "NaN", "+Inf", "-Inf".
void append_number(std::string& out, double value);
// For Prometheus' API and the configuration: the shortest digits, never an exponent; "NaN", "+Inf", "-Inf".
void append_decimal(std::string& out, double value);
[[nodiscard]] std::string decimal(double value);
// As Go's strconv writes format 'e': "1.5e+03".
[[nodiscard]] std::string scientific(double value);
// The shortest form, with an exponent if that is shorter: "1e+05" for 100000; "NaN", "+Inf", "-Inf".
void append_shortest(std::string& out, double value);

// The parts of the above, for writers with a buffer of their own. Each returns the end of what it wrote.
char* put_integer(char* to, std::int64_t value);        // at most 20 bytes
char* put_two_digits(char* to, std::uint32_t value);    // value < 100, with leading zeros
char* put_three_digits(char* to, std::uint32_t value);  // value < 1000, with leading zeros
// The fast path, several times as fast as std::to_chars: whole numbers below 9e15, and numbers with at most six
// decimals that read back exactly. Nearly every reading is one of these. Null for any other number, with nothing
// written. At most 24 bytes.
char* put_common(char* to, double value);

}  // namespace perjoule::text
