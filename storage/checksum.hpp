// CRC-32 (IEEE 802.3) and little-endian integers, for the formats of the history. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace perjoule::storage {

inline constexpr std::array<std::uint32_t, 256> crc_table = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t n = 0; n < table.size(); ++n) {
    std::uint32_t value = n;
    for (int bit = 0; bit < 8; ++bit)
      value = (value & 1) != 0 ? 0xedb88320U ^ (value >> 1) : value >> 1;
    table[n] = value;
  }
  return table;
}();

inline std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = ~0U;
  for (const char c : bytes)
    crc = crc_table[(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

inline void put_little_endian(std::string& out, std::uint64_t value, unsigned size) {
  for (; size > 0; --size, value >>= 8)
    out.push_back(static_cast<char>(static_cast<unsigned char>(value)));
}

}  // namespace perjoule::storage
