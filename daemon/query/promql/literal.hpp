// Reads numbers, durations, times and strings, in the forms of PromQL and of the parameters of the HTTP API. The
// accepted forms and the error messages are those of Prometheus 2.42. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "collectors/result.hpp"

namespace perjoule::query {

// A number in PromQL: "1e3", ".5", "0x1F", "010" (octal), "Inf", "NaN". Nothing if Prometheus would refuse it.
[[nodiscard]] std::optional<double> read_number(std::string_view text);

// Whether `text` is a number in a parameter: digits with an optional sign, point and exponent; or "inf" or "nan".
[[nodiscard]] bool is_number(std::string_view text);

// "1h30m", the largest unit first, each at most once; or "0". In milliseconds. Nothing for any other form, and for more
// than 292 years, where Go's nanoseconds overflow.
[[nodiscard]] std::optional<std::int64_t> read_duration(std::string_view text);

// The content of a quoted string, with Go's escape sequences replaced. Nothing if one of them is invalid.
[[nodiscard]] std::optional<std::string> unquote(std::string_view text);

// Seconds with a fraction, or RFC 3339, as milliseconds since 1970, rounded as Prometheus does.
[[nodiscard]] std::optional<std::int64_t> read_time(std::string_view text);

// Seconds with a fraction, or a duration, as milliseconds; fractions of a millisecond are cut off.
[[nodiscard]] std::optional<std::int64_t> read_step(std::string_view text);

// The decoded parameters of a request: first those of the URL, then those of the form in the body. Names may repeat.
// Unknown names are ignored.
using Parameters = std::vector<std::pair<std::string, std::string>>;

// The first parameter with this name; "" if there is no such parameter.
[[nodiscard]] std::string_view parameter(const Parameters& parameters, std::string_view name);

// Error broken: `invalid parameter "start": ...`.
[[nodiscard]] Error invalid(std::string_view name, std::string_view what);

// In milliseconds. If the parameter is missing or empty: `otherwise`, or an error if that has no value.
[[nodiscard]] Result<std::int64_t> time_parameter(const Parameters& parameters, std::string_view name,
                                                  std::optional<std::int64_t> otherwise);
[[nodiscard]] Result<std::int64_t> step_parameter(const Parameters& parameters);
// Checks `timeout`. Its value is not used: the daemon sets the deadline of queries itself.
[[nodiscard]] Result<void> check_timeout(const Parameters& parameters);
// `max_source_resolution`, a parameter of Thanos, in milliseconds; 0 if it is missing; "auto" is a fifth of the step.
[[nodiscard]] Result<std::int64_t> source_resolution_parameter(const Parameters& parameters, std::int64_t step_ms);
// `limit`; 0 if it is missing.
[[nodiscard]] Result<std::size_t> limit_parameter(const Parameters& parameters);

}  // namespace perjoule::query
