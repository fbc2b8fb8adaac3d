// Variable-length integers (LEB128, as in Protocol Buffers): seven bits a byte, least significant first, the high bit
// set on all bytes but the last. Signed integers are zigzag coded (0, -1, 1, -2, ... as 0, 1, 2, 3, ...), so values
// near zero take one byte. Differences wrap, so any 64-bit value round-trips. Any thread.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace perjoule::storage {

constexpr std::uint64_t zigzag(std::uint64_t difference) {
  return (difference << 1) ^ (0 - (difference >> 63));
}
constexpr std::uint64_t unzigzag(std::uint64_t coded) {
  return (coded >> 1) ^ (0 - (coded & 1));
}

constexpr std::size_t varint_size(std::uint64_t value) {
  return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}

inline constexpr std::size_t varint_bytes_max = 10;

// Returns the end of what it wrote. `at` must have room for varint_bytes_max: it may write a byte past that end.
inline char* put_varint(char* at, std::uint64_t value) {
  for (; value >= 1U << 14; value >>= 7)
    *at++ = static_cast<char>(static_cast<unsigned char>(value | 0x80));
  // One byte or two without a branch: the length of noisy values is unpredictable.
  const auto rest = static_cast<unsigned>(value);
  const unsigned more = rest >= 0x80 ? 1 : 0;
  at[0] = static_cast<char>(static_cast<unsigned char>((rest & 0x7f) | more << 7));
  at[1] = static_cast<char>(static_cast<unsigned char>(rest >> 7));
  return at + 1 + more;
}

inline void put_varint(std::string& out, std::uint64_t value) {
  std::array<char, varint_bytes_max> bytes{};
  out.append(bytes.data(), static_cast<std::size_t>(put_varint(bytes.data(), value) - bytes.data()));
}

// Reads from untrusted bytes. A read past the end or of an integer over 64 bits returns 0, and so do all later reads;
// `ok()` is false from then on.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  std::uint64_t varint() {
    if (!rest_.empty() && static_cast<unsigned char>(rest_.front()) < 0x80) {  // the common case: one byte
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      return byte;
    }
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      if (shift == 63 && byte > 1) break;
      value |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return value;
    }
    return fail();
  }
  std::uint64_t zigzagged() { return unzigzag(varint()); }
  std::uint64_t little_endian(std::size_t size) {
    const std::string_view taken = bytes(size);
    std::uint64_t value = 0;
    for (std::size_t n = taken.size(); n-- > 0;)
      value = value << 8 | static_cast<unsigned char>(taken[n]);
    return value;
  }
  // Skips `count` integers.
  void skip_varints(std::size_t count) {
    std::size_t at = 0;
    for (; count > 0 && at < rest_.size(); ++at)
      count -= static_cast<std::size_t>(static_cast<unsigned char>(rest_[at]) < 0x80);
    rest_.remove_prefix(at);
    if (count > 0) fail();
  }
  std::string_view bytes(std::uint64_t size) {
    if (size > rest_.size()) {
      fail();
      return {};
    }
    const std::string_view taken = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(taken.size());
    return taken;
  }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  std::uint64_t fail() {
    ok_ = false;
    rest_ = {};
    return 0;
  }
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace perjoule::storage
