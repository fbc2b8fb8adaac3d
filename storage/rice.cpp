#include "storage/rice.hpp"

#include <algorithm>
#include <array>

#include "storage/bits.hpp"

namespace perjoule::storage {

namespace {

constexpr std::size_t block_values = 64;
constexpr unsigned parameter_bits = 6;
constexpr unsigned all_zero = 63;
constexpr unsigned parameter_max = 56;  // what BitWriter takes at once
constexpr unsigned escape = 20;

std::uint64_t cost(std::span<const std::uint64_t> block, unsigned parameter) {
  std::uint64_t bits = block.size() * (parameter + 1);
  for (const std::uint64_t value : block) {
    const std::uint64_t quotient = value >> parameter;
    bits += quotient < escape ? quotient : escape + 63 - parameter;
  }
  return bits;
}

// The best parameter lies at the logarithm of the mean or one beside it.
unsigned parameter_of(std::span<const std::uint64_t> block) {
  std::uint64_t sum = 0;
  for (const std::uint64_t value : block)
    sum += std::min(value, ~std::uint64_t{0} / block_values);
  if (sum == 0) return all_zero;
  const auto guess = static_cast<unsigned>(std::bit_width(sum / block.size()));
  unsigned best = std::min(guess, parameter_max);
  std::uint64_t least = cost(block, best);
  const unsigned smallest = guess > 2 ? guess - 2 : 0;
  while (best > smallest) {
    const std::uint64_t bits = cost(block, best - 1);
    if (bits > least) break;
    --best;
    least = bits;
  }
  return best;
}

}  // namespace

void rice_encode(std::string& out, std::span<const std::uint64_t> values) {
  BitWriter bits(out);
  while (!values.empty()) {
    const auto block = values.first(std::min(block_values, values.size()));
    values = values.subspan(block.size());
    const unsigned parameter = parameter_of(block);
    bits.put(parameter, parameter_bits);
    if (parameter == all_zero) continue;
    for (const std::uint64_t value : block) {
      const std::uint64_t quotient = value >> parameter;
      if (quotient >= escape) {
        bits.put((1U << escape) - 1, escape);
        bits.put64(value);
        continue;
      }
      bits.put((std::uint64_t{1} << (quotient + 1)) - 2, static_cast<unsigned>(quotient) + 1);
      bits.put(value & ((std::uint64_t{1} << parameter) - 1), parameter);
    }
  }
  bits.flush();
}

bool rice_decode(std::string_view bytes, std::span<std::uint64_t> values) {
  BitReader bits(bytes);
  while (!values.empty()) {
    const auto block = values.first(std::min(block_values, values.size()));
    values = values.subspan(block.size());
    const auto parameter = static_cast<unsigned>(bits.get(parameter_bits));
    if (parameter == all_zero) {
      std::fill(block.begin(), block.end(), 0);
      continue;
    }
    if (parameter > parameter_max) return false;
    for (std::uint64_t& value : block) {
      bits.fill();
      const unsigned quotient = bits.ones(escape);
      value = quotient == escape ? bits.get64() : std::uint64_t{quotient} << parameter | bits.get(parameter);
    }
    if (bits.overrun()) return false;
  }
  return !bits.overrun();
}

}  // namespace perjoule::storage
