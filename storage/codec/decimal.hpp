// Doubles as integers at a decimal scale, exactly: most sensors say 41.5 or 0.125, and small integers compress.
// Pure; any thread.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>

namespace perjoule::storage {

inline constexpr unsigned scale_max = 9;
inline constexpr std::array<double, scale_max + 1> powers_of_ten = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
inline constexpr std::int64_t exact_limit = std::int64_t{1} << 53;

inline std::uint64_t bits_of(double value) {
  return std::bit_cast<std::uint64_t>(value);
}

// The integer that stands for `value` at a scale, if it gives the same bits back (-0.0, NaN and 0.1 + 0.2 do not).
inline std::optional<std::int64_t> scaled(double value, unsigned scale) {
  const double product = value * powers_of_ten[scale];
  if (!(std::fabs(product) < static_cast<double>(exact_limit))) return std::nullopt;
  const std::int64_t integer = std::llrint(product);  // unlike nearbyint one instruction on every x86-64
  const auto decimal = static_cast<double>(integer);
  const double back = scale == 0 ? decimal : decimal / powers_of_ten[scale];  // most have none, and divisions are slow
  if (bits_of(back) != bits_of(value)) return std::nullopt;
  return integer;
}

}  // namespace perjoule::storage
