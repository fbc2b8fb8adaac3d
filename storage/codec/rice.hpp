// Golomb-Rice coding of unsigned integers in blocks of 64, each with a parameter of its own: what sensors differ by
// from sample to sample is small, and how small changes with the load.
//
//   block := parameter (6 bits) value*       63: every value of the block is 0, nothing follows
//   value := quotient as ones, a zero, then `parameter` low bits
//            or 20 ones and 64 bits          for a quotient of 20 and more
//
// Pure; any thread. Source: R. F. Rice, JPL Publication 79-22 (1979).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace perjoule::storage {

// The bits of all values by those of every fourth block.
[[nodiscard]] std::uint64_t rice_bits_about(std::span<const std::uint64_t> values);

void rice_encode(std::string& out, std::span<const std::uint64_t> values);

// Fills `values`. False: the bytes end before it is full.
[[nodiscard]] bool rice_decode(std::string_view bytes, std::span<std::uint64_t> values);

}  // namespace perjoule::storage
