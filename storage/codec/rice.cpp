#include "storage/codec/rice.hpp"

#include <algorithm>
#include <array>

#include "storage/codec/bits.hpp"

namespace perjoule::storage {

namespace {

constexpr std::size_t block_values = 64;
constexpr unsigned parameter_bits = 6;
constexpr unsigned all_zero = 63;
constexpr unsigned parameter_max = 56;  // BitWriter and BitReader take at least this many bits per call
constexpr unsigned escape = 20;

std::uint64_t cost(std::span<const std::uint64_t> block, unsigned parameter) {
  std::uint64_t bits = block.size() * (parameter + 1);
  for (const std::uint64_t value : block) {
    const std::uint64_t quotient = value >> parameter;
    bits += quotient < escape ? quotient : escape + 63 - parameter;
  }
  return bits;
}

struct Choice {
  unsigned parameter = all_zero;
  std::uint64_t bits = 0;
};

// Near the minimum: the bit width of the mean, or one or two below it.
Choice choose(std::span<const std::uint64_t> block) {
  std::uint64_t sum = 0;
  for (const std::uint64_t value : block)
    sum += std::min(value, ~std::uint64_t{0} / block_values);
  if (sum == 0) return {};
  const auto guess = static_cast<unsigned>(std::bit_width(sum / block.size()));
  Choice best{std::min(guess, parameter_max), 0};
  best.bits = cost(block, best.parameter);
  const unsigned smallest = guess > 2 ? guess - 2 : 0;
  while (best.parameter > smallest) {
    const std::uint64_t bits = cost(block, best.parameter - 1);
    if (bits > best.bits) break;
    best = {best.parameter - 1, bits};
  }
  return best;
}

}  // namespace

std::uint64_t rice_bits_about(std::span<const std::uint64_t> values) {
  constexpr std::size_t one_in = 4;
  std::uint64_t bits = 0;
  std::size_t looked_at = 0;
  for (std::size_t n = 0; n < values.size(); n += one_in * block_values) {
    const auto block = values.subspan(n, std::min(block_values, values.size() - n));
    bits += parameter_bits + choose(block).bits;
    looked_at += block.size();
  }
  return looked_at == 0 ? 0 : bits * values.size() / looked_at;
}

void rice_encode(std::string& out, std::span<const std::uint64_t> values) {
  BitWriter bits(out);
  while (!values.empty()) {
    const auto block = values.first(std::min(block_values, values.size()));
    values = values.subspan(block.size());
    const unsigned parameter = choose(block).parameter;
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
