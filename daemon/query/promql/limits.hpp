// Limits of one query, so that a query cannot use unbounded memory, stack or CPU time. Constants; any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace perjoule::query {

inline constexpr std::size_t text_bytes_max = 16384;  // length of a query
inline constexpr std::size_t nesting_max = 100;       // levels of an expression: parentheses and operators
inline constexpr std::size_t nodes_max = 512;         // nodes of an expression
inline constexpr std::size_t regex_bytes_max = 8192;  // length of one regular expression
inline constexpr std::size_t regexes_max = 32;        // regular expressions in one query
inline constexpr int regex_program_max = 1000;        // instructions that RE2 compiles one to; a byte of a value may
                                                      // cost a step in each of them
inline constexpr std::int64_t regex_memory_max = 1 << 20;  // bytes that RE2 may use for one, its caches included
inline constexpr std::int64_t points_max = 11'000;         // steps of a range query; the same limit as in Prometheus

struct Limits {
  std::size_t series_max = 10'000;         // series that one selector may select
  std::size_t samples_max = 5'000'000;     // samples that one query may read and produce
  std::size_t steps_max = 100'000'000;     // values that one query may compute: about half a second of CPU time
  std::size_t answer_bytes_max = 8 << 20;  // JSON; the daemon holds several for clients that are slow to read
};

}  // namespace perjoule::query
