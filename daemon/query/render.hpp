// Writes a query result as the JSON value of the member `data` of an answer, as Prometheus does. Pure; any thread.
#pragma once

#include <string>

#include "daemon/query/evaluate/evaluator.hpp"

namespace perjoule::query {

// Both return false as soon as `out` is longer than `bytes_max`, and leave it incomplete.
[[nodiscard]] bool append_instant(std::string& out, const Value& value, std::int64_t at_ms, std::size_t bytes_max);
[[nodiscard]] bool append_range(std::string& out, const Value& value, const Grid& grid, std::size_t bytes_max);

}  // namespace perjoule::query
