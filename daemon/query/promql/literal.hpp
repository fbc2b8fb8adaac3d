// Numbers, durations and strings as PromQL writes them, and as the parameters of the HTTP API do. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace perjoule::query {

// "1e3", ".5", "0x1F", "010" (octal), "Inf", "NaN". Nothing where Prometheus would refuse it.
[[nodiscard]] std::optional<double> read_number(std::string_view text);

// Digits with a sign, a point and an exponent, as parameters write numbers; "inf" and "nan" too.
[[nodiscard]] bool is_number(std::string_view text);

// "1h30m": units descend, each at most once. Milliseconds; nothing where it is none, or is more than 292 years.
[[nodiscard]] std::optional<std::int64_t> read_duration(std::string_view text);

// A quoted text without its quotes and escapes (Go's); nothing where an escape is none.
[[nodiscard]] std::optional<std::string> unquote(std::string_view text);

// Seconds with a fraction, or RFC 3339: milliseconds since 1970, as Prometheus rounds them.
[[nodiscard]] std::optional<std::int64_t> read_time(std::string_view text);

// Seconds with a fraction, or a duration: milliseconds, a part of one cut off.
[[nodiscard]] std::optional<std::int64_t> read_step(std::string_view text);

}  // namespace perjoule::query
