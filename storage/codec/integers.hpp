// The codec of one column of integers. The cheapest of three predictors is chosen; its residuals are coded with Rice
// (rice.hpp) or tabled ANS (ans_coder.hpp), whichever is smaller.
//
//   integers  := 0                                  no value, or all are 0
//              | 1 zigzag(v)                        all are v
//              | form varint(step) zigzag(v 0) [zigzag(first difference)] residuals
//   form      := 2, 4, 6 (Rice) or 8, 9, 10 (ANS): order 0 (distance from v 0), 1 (difference from the value before),
//                2 (difference of differences)
//   residuals := rice.hpp or ans_coder.hpp; the first difference is written only for order 2
//
// All but v 0 are in units of `step`, the greatest common divisor of the values' distances from v 0: a sensor with a
// coarse resolution needs fewer bits. Arithmetic wraps, so any 64-bit values round-trip. One object per thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/codec/ans_coder.hpp"

namespace perjoule::storage {

// quick: Rice only, a third of the time. thorough: ANS, and also Rice if an estimate says that it may be smaller.
enum class Effort : std::uint8_t { quick, thorough };

class IntegerCodec {
 public:
  void encode(std::string& out, std::span<const std::int64_t> values, Effort effort);
  // Fills `values` from all of `bytes`. False: encode() does not write such bytes for values.size() values.
  [[nodiscard]] bool decode(std::string_view bytes, std::span<std::int64_t> values);

 private:
  // Buffers kept between calls, so that no memory is allocated in a steady state.
  std::vector<std::uint64_t> residuals_;
  std::string rice_;
  std::string ans_bytes_;
  AnsEncoder ans_;
};

}  // namespace perjoule::storage
