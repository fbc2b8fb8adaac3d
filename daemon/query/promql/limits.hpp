// What one query may cost. Values; any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace perjoule::query {

inline constexpr std::size_t text_bytes_max = 16384;       // of a query
inline constexpr std::size_t nesting_max = 100;            // levels of an expression, parentheses and operators alike
inline constexpr std::size_t nodes_max = 512;              // of an expression
inline constexpr std::size_t regex_bytes_max = 8192;       // of one regular expression
inline constexpr std::size_t regexes_max = 32;             // of an expression
inline constexpr std::int64_t regex_memory_max = 1 << 20;  // bytes that RE2 may use for one, its caches included
inline constexpr std::int64_t points_max = 11'000;         // per series: Prometheus' bound, which Grafana knows

struct Limits {
  std::size_t series_max = 10'000;      // that one selector may select
  std::size_t samples_max = 5'000'000;  // read, and made, by one query
  std::size_t steps_max = 100'000'000;  // values computed by one query: about half a second
  std::size_t answer_bytes_max = 64 << 20;
};

}  // namespace perjoule::query
