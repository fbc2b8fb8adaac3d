// Golomb-Rice coding of unsigned integers, in blocks of 64 values with one parameter each. The differences between
// sensor samples are small, and how small they are changes with the load, so each block chooses its own parameter.
//
//   block := parameter (6 bits) value*       parameter 63: all values are 0, and no value bits follow
//   value := quotient (unary: ones, then a zero), then the low `parameter` bits
//          | 20 ones, then the value in 64 bits, if the quotient is 20 or more
//
// Pure; any thread. Source: R. F. Rice, JPL Publication 79-22 (1979).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace perjoule::storage {

// Estimates the coded size in bits from every fourth block.
[[nodiscard]] std::uint64_t rice_bits_about(std::span<const std::uint64_t> values);

void rice_encode(std::string& out, std::span<const std::uint64_t> values);

// Fills `values`. False: the bytes end too early, or a parameter is invalid.
[[nodiscard]] bool rice_decode(std::string_view bytes, std::span<std::uint64_t> values);

}  // namespace perjoule::storage
