// Adaptive binary range coding of unsigned integers: a tenth to a half smaller than Rice where the size of the values
// says something about the next one, and three to five times slower. The chunk takes it only where it pays.
//
// A value is coded as the number of its bits, as a path in a tree whose odds depend on the number of bits of the value
// before, then the two bits below the leading one with odds of their own, then the rest as they are. Odds are 12-bit
// probabilities that move by 1/16 of the error with each bit; the coder is LZMA's (carry by cache and pending bytes).
//
// Pure; any thread. Source: G. N. N. Martin, "Range encoding" (1979); I. Pavlov, LZMA specification (2015).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace perjoule::storage {

void range_encode(std::string& out, std::span<const std::uint64_t> values);

// Fills `values`. False: the bytes end long before it is full. Wrong bytes give wrong values, never harm.
[[nodiscard]] bool range_decode(std::string_view bytes, std::span<std::uint64_t> values);

}  // namespace perjoule::storage
