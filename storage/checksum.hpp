// CRC-32 (IEEE 802.3) and little-endian integers, for the formats of the history. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace perjoule::storage {

// By eight tables: table n carries a byte over n more bytes (Kounavis and Berry, "A systematic approach to building
// high performance software-based CRC generators", 2005).
using CrcTables = std::array<std::array<std::uint32_t, 256>, 8>;
inline constexpr CrcTables crc_tables = [] {
  CrcTables tables{};
  for (std::uint32_t n = 0; n < 256; ++n) {
    std::uint32_t value = n;
    for (int bit = 0; bit < 8; ++bit)
      value = (value & 1) != 0 ? 0xedb88320U ^ (value >> 1) : value >> 1;
    tables[0][n] = value;
  }
  for (std::size_t table = 1; table < tables.size(); ++table) {
    for (std::size_t n = 0; n < 256; ++n)
      tables[table][n] = tables[0][tables[table - 1][n] & 0xff] ^ (tables[table - 1][n] >> 8);
  }
  return tables;
}();

inline std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = ~0U;
  const auto byte = [&](std::size_t at) { return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at])); };
  std::size_t at = 0;
  for (; bytes.size() - at >= 8; at += 8) {
    crc ^= byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16 | byte(at + 3) << 24;
    crc = crc_tables[7][crc & 0xff] ^ crc_tables[6][crc >> 8 & 0xff] ^ crc_tables[5][crc >> 16 & 0xff] ^
          crc_tables[4][crc >> 24] ^ crc_tables[3][byte(at + 4)] ^ crc_tables[2][byte(at + 5)] ^
          crc_tables[1][byte(at + 6)] ^ crc_tables[0][byte(at + 7)];
  }
  for (; at < bytes.size(); ++at)
    crc = crc_tables[0][(crc ^ byte(at)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

inline void put_little_endian(std::string& out, std::uint64_t value, unsigned size) {
  for (; size > 0; --size, value >>= 8)
    out.push_back(static_cast<char>(static_cast<unsigned char>(value)));
}

}  // namespace perjoule::storage
