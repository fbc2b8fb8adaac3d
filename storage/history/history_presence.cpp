// The part of HistoryReader that finds which series have samples in a range, for listings of series and labels.
#include <algorithm>

#include "storage/history/history_reader.hpp"
#include "storage/history/slot.hpp"

namespace perjoule::storage {

namespace {

// A series that is sampled is found in the first slot that is looked at. This bounds the search for one that is not.
constexpr std::int64_t slots_searched_max = 192;

}  // namespace

Result<std::vector<std::uint8_t>> HistoryReader::present(std::span<const std::int64_t> ids, Range range) {
  std::vector<std::uint8_t> found(ids.size(), 0);
  auto done = snapshot([&]() -> Result<void> {
    Result<Groups> groups = groups_of(ids);
    if (!groups) return groups.error();
    if (auto looked = look_in_tail(*groups, range, found); !looked) return looked;
    auto oldest_ms = HistoryReader::oldest_ms(connection_);
    if (!oldest_ms) return oldest_ms.error();
    for (const auto& [grp, group] : *groups) {
      if (auto looked = look_in_chunks(grp, group, range, *oldest_ms, found); !looked) return looked;
    }
    return {};
  });
  if (!done) return done.error();
  return found;
}

Result<void> HistoryReader::look_in_tail(const Groups& groups, Range range, std::span<std::uint8_t> found) {
  Taking taking{{}, range, SIZE_MAX, found.size(), 0};
  taking.found = found;
  return take_tail(groups, taking);
}

// From the newest slot backwards, until every series of the group is found.
Result<void> HistoryReader::look_in_chunks(std::int64_t grp, const Group& group, Range range, std::int64_t oldest_ms,
                                           std::span<std::uint8_t> found) {
  const auto is_found = [&](const Column& column) { return found[column.series] != 0; };
  const std::int64_t first = std::max(group.first_slot, slot_of(range.from_ms));
  const std::int64_t last = std::min(group.sealed - 1, slot_of(range.to_ms));
  const std::int64_t raw = std::max({first, slot_of(oldest_ms), last - slots_searched_max + 1});
  Blob blob;
  bool in_gap = false;
  for (std::int64_t slot = last; slot >= raw; --slot) {
    if (std::all_of(group.columns.begin(), group.columns.end(), is_found)) return {};
    if (auto still = in_time(); !still) return still;
    auto opened = open_slot(blob, {"chunk", "", "SELECT 1 FROM chunk WHERE k = ?1"}, slot_key(slot, grp), in_gap);
    if (!opened) return opened.error();
    if (!*opened) continue;
    auto looked = look_in_chunk(blob, group, range, found);
    if (looked) continue;
    if (looked.error().fault != Fault::broken) return looked;
    ++undecodable_;
  }
  // Further back there are roll-ups, or more slots than are worth the search: all of the group may have samples there.
  for (const Column& column : group.columns) {
    if (first < raw && first <= last) found[column.series] = 1;
  }
  return {};
}

Result<void> HistoryReader::look_in_chunk(const Blob& blob, const Group& group, Range range,
                                          std::span<std::uint8_t> found) {
  const auto read = [&](std::size_t offset, std::span<char> out) { return blob.read(offset, out); };
  if (auto opened = chunk_.open(blob.size(), read); !opened) return opened;
  if (auto stamps = chunk_.stamps(stamps_ms_); !stamps) return stamps;
  Result<void> whole;
  for (const Column& column : group.columns) {
    if (found[column.series] != 0 || column.column >= chunk_.columns()) continue;
    if (auto decoded = chunk_.column(column.column, values_, present_); !decoded) {
      if (decoded.error().fault != Fault::broken) return decoded;
      whole = decoded;
      continue;
    }
    for (std::size_t n = 0; n < stamps_ms_.size() && found[column.series] == 0; ++n) {
      const bool inside = stamps_ms_[n] >= range.from_ms && stamps_ms_[n] <= range.to_ms;
      found[column.series] = inside && present_[n] != 0 ? 1 : 0;
    }
  }
  return whole;
}

}  // namespace perjoule::storage
