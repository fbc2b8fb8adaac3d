// The slots in which history is sealed: 15 minutes of the epoch each. Values only; any thread.
#pragma once

#include <cstdint>

namespace perjoule::storage {

inline constexpr std::int64_t slot_ms = 900'000;
inline constexpr unsigned grp_bits = 24;
inline constexpr std::int64_t grp_max = (std::int64_t{1} << grp_bits) - 1;

// Stamps before 1970 have none: they lie in slots that count as sealed.
constexpr std::int64_t slot_of(std::int64_t stamp_ms) {
  return stamp_ms < 0 ? -1 : stamp_ms / slot_ms;
}
constexpr std::int64_t slot_start(std::int64_t slot) {
  return slot * slot_ms;
}

// The key of chunks and minute roll-ups: all groups of a slot lie together, and the oldest first.
constexpr std::int64_t slot_key(std::int64_t slot, std::int64_t grp) {
  return slot * (grp_max + 1) + grp;
}
constexpr std::int64_t slot_of_key(std::int64_t key) {
  return key >> grp_bits;
}
constexpr std::int64_t grp_of_key(std::int64_t key) {
  return key & grp_max;
}

// Groups whose frames share a row of the tail: as many as have so many series together, so that a row fills its page
// and whoever reads one group reads little else. The rows of a bundle lie together.
inline constexpr std::size_t bundle_series = 512;
inline constexpr std::int64_t bundle_of_all = 0;  // rows that version 1 wrote hold any group
constexpr std::int64_t tail_row(std::int64_t bundle, std::int64_t number) {
  return bundle * (std::int64_t{1} << 32) + number;
}
constexpr std::int64_t bundle_of_row(std::int64_t row) {
  return row >> 32;
}

}  // namespace perjoule::storage
