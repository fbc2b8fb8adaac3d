// Converts doubles to integers at a decimal scale (value * 10^scale) where that is exact. Most sensors report values
// such as 41.5 or 0.125, and small integers compress far better than doubles. Pure; any thread.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>

namespace perjoule::storage {

inline constexpr unsigned scale_max = 9;
inline constexpr std::array<double, scale_max + 1> powers_of_ten = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
inline constexpr std::int64_t exact_limit = std::int64_t{1} << 53;  // integers below it are exact as doubles

inline std::uint64_t bits_of(double value) {
  return std::bit_cast<std::uint64_t>(value);
}

// value * 10^scale as an integer; nullopt if integer / 10^scale does not give the same bits (-0.0, NaN, 0.1 + 0.2).
inline std::optional<std::int64_t> scaled(double value, unsigned scale) {
  const double product = value * powers_of_ten[scale];
  if (!(std::fabs(product) < static_cast<double>(exact_limit))) return std::nullopt;
  const std::int64_t integer = std::llrint(product);  // one instruction on every x86-64; nearbyint needs SSE4.1
  const auto decimal = static_cast<double>(integer);
  const double back = scale == 0 ? decimal : decimal / powers_of_ten[scale];  // most scales are 0: avoid the division
  if (bits_of(back) != bits_of(value)) return std::nullopt;
  return integer;
}

}  // namespace perjoule::storage
