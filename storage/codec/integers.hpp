// The codec of one column of integers: the cheapest of a few predictors, then Rice or a table (ans_coder.hpp) for what
// it missed.
//
//   integers := 0                                  no value, or all are 0
//             | 1 zigzag(v)                        all are v
//             | form varint(step) zigzag(v 0) [zigzag(first difference)] residuals
//   form     := 2, 4, 6 (Rice) or 8, 9, 10 (table) of order 0, 1, 2: value, difference, difference of differences
//
// Values are divided by `step`, the greatest common divisor of their distances from the first. Arithmetic wraps, so any
// 64-bit values round-trip. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/codec/ans_coder.hpp"

namespace perjoule::storage {

// Whether a table is made too; Rice is then tried where a part of the values says that it may be smaller. Rice alone
// takes a third of the time.
enum class Effort : std::uint8_t { quick, thorough };

class IntegerCodec {
 public:
  void encode(std::string& out, std::span<const std::int64_t> values, Effort effort);
  // Fills `values` from all of `bytes`. False: they are not what encode() writes for so many values.
  [[nodiscard]] bool decode(std::string_view bytes, std::span<std::int64_t> values);

 private:
  // Kept between calls, so that a steady state allocates nothing.
  std::vector<std::uint64_t> residuals_;
  std::string rice_;
  std::string ans_bytes_;
  AnsEncoder ans_;
};

}  // namespace perjoule::storage
