// Bits into bytes, most significant first, and back. Values only; any thread.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace perjoule::storage {

class BitWriter {
 public:
  explicit BitWriter(std::string& out) : out_(out) {}

  // The `count` low bits of `value`, 0 to 57; bits above them are zero.
  void put(std::uint64_t value, unsigned count) {
    if (have_ + count > 64) spill();
    held_ = held_ << count | value;
    have_ += count;
  }
  void put64(std::uint64_t value) {
    put(value >> 32U, 32);
    put(value & 0xffffffffU, 32);
  }
  // The last byte is filled with zeros.
  void flush() {
    spill();
    if (have_ > 0) out_.push_back(static_cast<char>(static_cast<unsigned char>(held_ << (8 - have_))));
    have_ = 0;
  }

 private:
  void spill() {
    if (have_ < 8) return;
    std::array<char, 8> bytes{};
    std::uint64_t first = held_ << (64 - have_);
    if constexpr (std::endian::native == std::endian::little) first = __builtin_bswap64(first);
    std::memcpy(bytes.data(), &first, bytes.size());
    out_.append(bytes.data(), have_ / 8);
    have_ %= 8;
  }
  std::string& out_;
  std::uint64_t held_ = 0;
  unsigned have_ = 0;  // low bits of `held_` that are not yet written
};

// Reads from untrusted bytes: past their end come zeros, and `overrun` says so.
class BitReader {
 public:
  static constexpr unsigned filled = 56;

  explicit BitReader(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  // Makes at least `filled` bits ready.
  void fill() {
    if (end_ - at_ < 8) return fill_by_byte();
    std::uint64_t next = 0;
    std::memcpy(&next, at_, sizeof next);
    if constexpr (std::endian::native == std::endian::little) next = __builtin_bswap64(next);
    // What it holds below `have_` bits is what comes next in the bytes, or zero: the same bits may be put there again.
    held_ |= next >> have_;
    at_ += (63 - have_) >> 3U;
    have_ |= filled;
  }
  // Of those that are ready.
  std::uint64_t take(unsigned count) {
    const std::uint64_t taken = held_ >> 1U >> (63 - count);
    held_ <<= count;
    have_ -= count;
    return taken;
  }
  std::uint64_t get(unsigned count) {  // 0 to `filled`
    if (have_ < count) fill();
    return take(count);
  }
  std::uint64_t get64() {
    const std::uint64_t high = get(32);
    return high << 32U | get(32);
  }
  // Of those that are ready: ones before the next zero, which is taken too; at most `max`, and then no zero is taken.
  unsigned ones(unsigned max) {
    const auto count = std::min(static_cast<unsigned>(std::countl_one(held_)), max);
    take(count < max ? count + 1 : max);
    return count;
  }
  [[nodiscard]] bool overrun() const { return lent_ > have_; }

 private:
  void fill_by_byte() {
    while (have_ <= filled) {
      std::uint64_t byte = 0;
      if (at_ < end_) {
        byte = static_cast<unsigned char>(*at_++);
      } else {
        lent_ += 8;
      }
      held_ |= byte << (filled - have_);
      have_ += 8;
    }
  }
  const char* at_;
  const char* end_;
  std::uint64_t held_ = 0;  // from the highest bit on
  unsigned have_ = 0;       // of its bits that are ready, 64 at most
  std::uint64_t lent_ = 0;  // zeros beyond the end that are among those ready
};

}  // namespace perjoule::storage
