// Reads numbers, durations, times and strings, as PromQL writes them and as the parameters of the HTTP API do; both
// follow Prometheus 2.42, error texts included. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "collectors/result.hpp"

namespace perjoule::query {

// "1e3", ".5", "0x1F", "010" (octal), "Inf", "NaN". Nothing where Prometheus would refuse it.
[[nodiscard]] std::optional<double> read_number(std::string_view text);

// Digits with a sign, a point and an exponent, as parameters write numbers; "inf" and "nan" too.
[[nodiscard]] bool is_number(std::string_view text);

// "1h30m": units descend, each at most once; or "0". Milliseconds; nothing for any other text, or beyond 292 years,
// where Go's nanoseconds overflow.
[[nodiscard]] std::optional<std::int64_t> read_duration(std::string_view text);

// The content of a quoted string, with Go's escape sequences replaced; nothing when one of them is invalid.
[[nodiscard]] std::optional<std::string> unquote(std::string_view text);

// Seconds with a fraction, or RFC 3339: milliseconds since 1970, as Prometheus rounds them.
[[nodiscard]] std::optional<std::int64_t> read_time(std::string_view text);

// Seconds with a fraction, or a duration: milliseconds, a part of one cut off.
[[nodiscard]] std::optional<std::int64_t> read_step(std::string_view text);

// The parameters of a request: those of the URL, then those of the form, decoded; names may repeat. Unknown names are
// ignored.
using Parameters = std::vector<std::pair<std::string, std::string>>;

// The first of that name; "" when there is none.
[[nodiscard]] std::string_view parameter(const Parameters& parameters, std::string_view name);

// `invalid parameter "start": ...`, broken.
[[nodiscard]] Error invalid(std::string_view name, std::string_view what);

// Milliseconds. Without the parameter, or with an empty one: `otherwise`, or an error where that has no value.
[[nodiscard]] Result<std::int64_t> time_parameter(const Parameters& parameters, std::string_view name,
                                                  std::optional<std::int64_t> otherwise);
[[nodiscard]] Result<std::int64_t> step_parameter(const Parameters& parameters);
// `timeout` is checked, and then ignored: queries have a deadline of the daemon's own.
[[nodiscard]] Result<void> check_timeout(const Parameters& parameters);
// `max_source_resolution`, a parameter of Thanos: milliseconds, 0 without it; "auto" is a fifth of the step.
[[nodiscard]] Result<std::int64_t> source_resolution_parameter(const Parameters& parameters, std::int64_t step_ms);
// `limit`: 0 without it.
[[nodiscard]] Result<std::size_t> limit_parameter(const Parameters& parameters);

}  // namespace perjoule::query
