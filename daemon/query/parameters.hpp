// The parameters of a request, as numbers and times. For the API alone. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "collectors/result.hpp"
#include "daemon/query/api.hpp"

namespace perjoule::query {

// The first of that name; "" where there is none.
[[nodiscard]] std::string_view parameter(const Parameters& parameters, std::string_view name);

// `invalid parameter "start": ...`, broken.
[[nodiscard]] Error invalid(std::string_view name, std::string_view what);

// Milliseconds. Without the parameter, or with an empty one: `otherwise`, or an error where that has none.
[[nodiscard]] Result<std::int64_t> time_parameter(const Parameters& parameters, std::string_view name,
                                                  std::optional<std::int64_t> otherwise);
[[nodiscard]] Result<std::int64_t> step_parameter(const Parameters& parameters);
// `timeout`: read for its errors; the caller has a deadline of its own.
[[nodiscard]] Result<void> check_timeout(const Parameters& parameters);
// `max_source_resolution`, as Thanos has it: milliseconds, 0 where there is none; "auto" is a fifth of the step.
[[nodiscard]] Result<std::int64_t> source_resolution_parameter(const Parameters& parameters, std::int64_t step_ms);
// `limit`: 0 where there is none.
[[nodiscard]] Result<std::size_t> limit_parameter(const Parameters& parameters);
// All of `match[]`, in order.
[[nodiscard]] Result<std::vector<std::vector<Matcher>>> match_parameters(const Parameters& parameters);

}  // namespace perjoule::query
