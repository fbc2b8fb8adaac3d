// Corrects the checksums of a damaged chunk, so that tests with wrong bytes reach the decoder behind the checksums.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "storage/codec/checksum.hpp"
#include "storage/codec/varint.hpp"

namespace perjoule::storage {

inline constexpr std::size_t mended_bytes_max = 65536;

inline void put_checksum(std::string& bytes, std::size_t from, std::size_t size, std::size_t at) {
  std::string sum;
  put_little_endian(sum, crc32(std::string_view(bytes).substr(from, size)), 4);
  bytes.replace(at, sum.size(), sum);
}

// Makes the chunk's size and checksums match the sizes in its head. Does nothing if the head cannot be read.
inline void mend_chunk(std::string& bytes) {
  ByteReader reader(bytes);
  reader.little_endian(1);
  const std::uint64_t together = std::max<std::uint64_t>(reader.varint(), 1);
  reader.varint();
  std::vector<std::size_t> parts(std::min<std::uint64_t>(reader.varint(), bytes.size()) + 1);
  for (std::size_t& size : parts)
    size = std::min<std::uint64_t>(reader.varint(), mended_bytes_max);
  if (!reader.ok()) return;
  const std::size_t head = bytes.size() - reader.left();
  std::vector<std::size_t> summed = {parts.front()};  // sizes of what shares a checksum
  for (std::size_t n = 1; n < parts.size(); ++n) {
    if ((n - 1) % together == 0) summed.push_back(0);
    summed.back() += parts[n];
  }
  std::size_t end = head + 4;
  for (const std::size_t size : summed)
    end += size > 0 ? size + 4 : 0;
  if (end > mended_bytes_max) return;
  bytes.resize(end);
  put_checksum(bytes, 0, head, head);
  std::size_t at = head + 4;
  for (const std::size_t size : summed) {
    if (size == 0) continue;
    put_checksum(bytes, at, size, at + size);
    at += size + 4;
  }
}

}  // namespace perjoule::storage
