// Results of queries as the `data` of an answer. For the API alone. Pure.
#pragma once

#include <string>

#include "daemon/query/evaluate/evaluator.hpp"

namespace perjoule::query {

// False where it grows beyond `bytes_max`.
[[nodiscard]] bool append_instant(std::string& out, const Value& value, std::int64_t at_ms, std::size_t bytes_max);
[[nodiscard]] bool append_range(std::string& out, const Value& value, const Grid& grid, std::size_t bytes_max);

}  // namespace perjoule::query
