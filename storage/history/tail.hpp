// The newest minutes, not sealed yet: rows of table `tail`, one frame each (storage/codec/frame.hpp), and in memory the
// set of (slot, group) that wait to be sealed.
//
// Each commit writes one small frame per bundle (storage/history/slot.hpp), with the samples of its groups since the
// last commit; adding to a chunk instead would rewrite the whole chunk at each commit. A slot of a group is sealed as a
// whole. A row whose samples are all sealed is free: a later commit overwrites it in place. That writes no page but the
// row's own, while a row in a newly allocated page would also write page 1 and a page of the free list; it halves the
// bytes that a commit writes. Rows are padded, so that sizes match.
//
// The state in memory is a copy of the file: load it again after a failed transaction. One thread at a time (the
// writer), inside the store's transactions. Times are wall clock, milliseconds since the epoch.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "storage/codec/frame.hpp"
#include "storage/sqlite/database.hpp"

namespace perjoule::storage {

// Collects the ticks of one group in one slot from several frames.
class SlotBlock {
 public:
  // Only ticks in [from_ms, until_ms) are added.
  void begin(std::int64_t grp, std::size_t columns, std::int64_t from_ms, std::int64_t until_ms);
  // To be called before the columns of another frame.
  void next_frame() { opened_ = false; }
  void add(const ColumnView& view);
  // Timestamps ascend. No ticks: the group has no sample in the slot.
  [[nodiscard]] const GroupBlock& finish();

 private:
  void open_frame(std::span<const std::int64_t> stamps_ms);
  void grow(std::size_t ticks);

  GroupBlock block_;
  std::int64_t from_ms_ = 0;
  std::int64_t until_ms_ = 0;
  std::size_t room_ = 0;   // capacity of a column in ticks
  bool opened_ = false;    // the timestamps of the current frame were added
  std::size_t start_ = 0;  // index in the block of the first tick added from the current frame
  std::size_t skip_ = 0;   // index in the frame of that tick
  std::size_t count_ = 0;  // ticks added from the frame
};

class Tail {
 public:
  // What is sealed in one transaction: groups in one slot, at most `seal_groups`, so that ledger commits wait only
  // briefly.
  struct Due {
    std::int64_t slot = 0;
    std::vector<std::int64_t> groups;
  };
  static constexpr std::size_t seal_groups = 8;
  // A group that a row has samples of, with timestamps in [first_ms, last_ms].
  struct Held {
    std::int64_t grp = 0;
    std::int64_t first_ms = 0;
    std::int64_t last_ms = 0;
  };

  [[nodiscard]] Result<void> load(Connection& connection);

  [[nodiscard]] std::size_t rows() const { return rows_.size(); }  // rows with unsealed samples
  [[nodiscard]] std::int64_t oldest_ms() const { return rows_.empty() ? 0 : rows_.front().first_ms; }

  // The next sample of `grp` must be newer than this; -1: any time since 1970.
  [[nodiscard]] std::int64_t newest_ms(std::int64_t grp) const;

  // Whether another grp has replaced `grp` in this slot or before.
  [[nodiscard]] bool ends_in(std::int64_t grp, std::int64_t slot) const;

  // Writes `frame` to a row. `held`: its groups, all of this bundle; each spans a few days at most.
  [[nodiscard]] Result<void> insert(std::int64_t bundle, std::string_view frame, std::span<const Held> held);
  void closed(std::int64_t grp) { groups_[grp].closed = true; }

  // What may be sealed when the newest sample of all groups has the time `now_ms`: the oldest slot first, and each
  // group some time after the slot's end, so that sealing is spread over time. No groups: nothing is due.
  [[nodiscard]] Due due(std::int64_t now_ms) const;
  // Calls decode_frame() for each row with samples of these groups in the slot, in the order of writing. What cannot be
  // decoded is left out and counted.
  [[nodiscard]] Result<void> read(const Due& due, const std::function<bool(std::int64_t grp)>& want,
                                  const std::function<void(const ColumnView&)>& each);
  // Marks the groups as sealed up to the end of the slot, and frees rows.
  [[nodiscard]] Result<void> sealed(const Due& due);

  // Drops the oldest rows without sealing them. Returns the number of their unsealed samples.
  [[nodiscard]] Result<std::uint64_t> drop_oldest(std::size_t rows);
  // All groups that rows have samples of, including free rows.
  [[nodiscard]] std::unordered_set<std::int64_t> groups_in_rows() const;
  // `grp` was deleted; no row has samples of it.
  void forget(std::int64_t grp) { groups_.erase(grp); }

  // Number of rows that were found damaged since the start; load() does not reset it.
  [[nodiscard]] std::uint64_t undecodable() const { return damaged_.size(); }

 private:
  struct Row {
    std::int64_t id = 0;
    std::int64_t first_ms = 0;
    std::int64_t last_ms = 0;
    std::size_t bytes = 0;
    std::vector<Held> held;
  };
  struct Group {
    std::int64_t sealed = 0;  // the first unsealed slot
    std::int64_t newest_ms = INT64_MIN;
    bool closed = false;
  };
  [[nodiscard]] Result<void> load_groups(Connection& connection);
  [[nodiscard]] Result<void> load_rows(Connection& connection);
  [[nodiscard]] Result<void> remove(const Row& row);
  [[nodiscard]] Result<std::uint64_t> count_waiting(const Row& row);
  [[nodiscard]] bool holds_waiting(const Row& row) const;
  [[nodiscard]] Result<void> release(Row row, std::int64_t slot);
  // The groups of a row that was read from the file.
  [[nodiscard]] std::vector<Held> held_in(std::string_view frame, std::int64_t first_ms, std::int64_t last_ms) const;
  void add_waiting(const Held& held);
  void forget_waiting_without_row();

  Statement insert_;
  Statement update_;
  Statement select_;
  Statement delete_;
  Statement seal_;
  std::int64_t next_number_ = 0;
  std::unordered_map<std::int64_t, std::int64_t> next_id_;  // by bundle
  std::deque<Row> rows_;                                    // with unsealed samples, in the order of writing
  std::deque<Row> free_;
  std::set<std::pair<std::int64_t, std::int64_t>> waiting_;  // slot and grp to be sealed
  std::unordered_map<std::int64_t, Group> groups_;
  std::string padded_;
  std::set<std::pair<std::int64_t, std::int64_t>> damaged_;  // id and first timestamp, because ids are reused
};

}  // namespace perjoule::storage
