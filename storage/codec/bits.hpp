// Writes bit fields into bytes, most significant bit first, and reads them back. Eight bytes are handled at a time,
// because sealing and queries spend most of their time here. Any thread; an object belongs to one thread at a time.
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

  // Appends the low `count` bits of `value`; `count` is 0 to 57. The caller makes sure that the bits above are zero.
  void put(std::uint64_t value, unsigned count) {
    if (have_ + count > 64) spill();
    held_ = held_ << count | value;
    have_ += count;
  }
  void put64(std::uint64_t value) {
    put(value >> 32U, 32);
    put(value & 0xffffffffU, 32);
  }
  // Writes the remaining bits; unused bits of the last byte are zero.
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
  unsigned have_ = 0;  // number of low bits of `held_` that are not yet written
};

// Reads from untrusted bytes. Past the end it returns zeros, and `overrun` becomes true.
class BitReader {
 public:
  static constexpr unsigned filled = 56;  // bits that fill() guarantees

  explicit BitReader(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  // Makes at least `filled` bits available to take_bits() and ones().
  void fill() {
    if (end_ - at_ < 8) return fill_by_byte();
    std::uint64_t next = 0;
    std::memcpy(&next, at_, sizeof next);
    if constexpr (std::endian::native == std::endian::little) next = __builtin_bswap64(next);
    // The bits of `held_` behind the first `have_` are zero or already the next bits of the stream, so OR is safe.
    held_ |= next >> have_;
    at_ += (63 - have_) >> 3U;
    have_ |= filled;
  }
  // Takes `count` of the available bits, 0 to 63.
  std::uint64_t take_bits(unsigned count) {
    const std::uint64_t taken = held_ >> 1U >> (63 - count);
    held_ <<= count;
    have_ -= count;
    return taken;
  }
  std::uint64_t get(unsigned count) {  // 0 to `filled`
    if (have_ < count) fill();
    return take_bits(count);
  }
  std::uint64_t get64() {
    const std::uint64_t high = get(32);
    return high << 32U | get(32);
  }
  // Takes the ones that the available bits begin with, at most `max`, and returns their number. Also takes the zero
  // after them, but not after `max` ones.
  unsigned ones(unsigned max) {
    const auto count = std::min(static_cast<unsigned>(std::countl_one(held_)), max);
    take_bits(count < max ? count + 1 : max);
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
  std::uint64_t held_ = 0;  // the next bits, starting at the most significant
  unsigned have_ = 0;       // number of available bits in it, at most 64
  std::uint64_t lent_ = 0;  // zero bits that were appended past the end of the bytes
};

}  // namespace perjoule::storage
