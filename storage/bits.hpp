// Bits into bytes, most significant first, and back. Values only; any thread.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace perjoule::storage {

class BitWriter {
 public:
  explicit BitWriter(std::string& out) : out_(out) {}

  // The `count` low bits of `value`, 0 to 57; bits above them are zero.
  void put(std::uint64_t value, unsigned count) {
    held_ = held_ << count | value;
    have_ += count;
    while (have_ >= 8) {
      have_ -= 8;
      out_.push_back(static_cast<char>(static_cast<unsigned char>(held_ >> have_)));
    }
  }
  void put64(std::uint64_t value) {
    put(value >> 32U, 32);
    put(value & 0xffffffffU, 32);
  }
  // The last byte is filled with zeros.
  void flush() {
    if (have_ > 0) put(0, 8 - have_);
  }

 private:
  std::string& out_;
  std::uint64_t held_ = 0;
  unsigned have_ = 0;  // bits in `held_` that are not yet written, below 8 between two calls
};

// Reads from untrusted bytes: past their end come zeros, and `overrun` says so.
class BitReader {
 public:
  explicit BitReader(std::string_view bytes) : bytes_(bytes) {}

  std::uint64_t get(unsigned count) {  // 0 to 56
    if (have_ < count) refill();
    have_ -= count;
    return held_ >> have_ & ((std::uint64_t{1} << count) - 1);
  }
  std::uint64_t get64() {
    const std::uint64_t high = get(32);
    return high << 32U | get(32);
  }
  // Ones before the next zero, which is taken too; at most `max`, and then no zero is taken.
  unsigned ones(unsigned max) {
    if (have_ < 32) refill();
    const std::uint64_t aligned = have_ == 0 ? 0 : held_ << (64 - have_);
    const auto count = static_cast<unsigned>(std::countl_one(aligned));
    if (count >= max) {
      have_ -= max;
      return max;
    }
    have_ -= count + 1;
    return count;
  }
  [[nodiscard]] bool overrun() const { return lent_ > have_; }

 private:
  void refill() {
    while (have_ <= 56) {
      std::uint64_t byte = 0;
      if (at_ < bytes_.size()) {
        byte = static_cast<unsigned char>(bytes_[at_++]);
      } else {
        lent_ += 8;
      }
      held_ = held_ << 8U | byte;
      have_ += 8;
    }
  }
  std::string_view bytes_;
  std::size_t at_ = 0;
  std::uint64_t held_ = 0;
  unsigned have_ = 0;       // low bits of `held_` that are not yet taken
  std::uint64_t lent_ = 0;  // zeros beyond the end that were put into `held_`
};

}  // namespace perjoule::storage
