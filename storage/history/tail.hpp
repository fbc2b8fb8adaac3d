// The newest minutes: rows of frames (storage/codec/frame.hpp) and, in memory, which slots of which groups wait in them
// to be sealed.
//
// A row holds what the groups of one bundle sampled between two commits (storage/history/slot.hpp). A slot of a group
// is sealed whole. A row that holds nothing else any more is free: it stays as it is, and a later commit writes over it
// in place, which touches no page but its own. Rows are padded for that. What stands in memory is a copy of the file:
// after a transaction that failed, load it anew. One thread at a time, inside the store's transactions.
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

// Ticks of one group in one slot, gathered from several frames.
class SlotBlock {
 public:
  // Only ticks in [from_ms, until_ms) are taken.
  void begin(std::int64_t grp, std::size_t columns, std::int64_t from_ms, std::int64_t until_ms);
  // The columns that come now are of another frame than those before.
  void next_frame() { opened_ = false; }
  void add(const ColumnView& view);
  // Stamps ascend. Without ticks: nothing lay in the slot.
  [[nodiscard]] const GroupBlock& finish();

 private:
  void open_frame(std::span<const std::int64_t> stamps_ms);
  void grow(std::size_t ticks);

  GroupBlock block_;
  std::int64_t from_ms_ = 0;
  std::int64_t until_ms_ = 0;
  std::size_t room_ = 0;   // ticks that a column has space for
  bool opened_ = false;    // the frame's stamps were taken
  std::size_t start_ = 0;  // tick of the frame's first one in the slot, which is its `skip_`-th
  std::size_t skip_ = 0;
  std::size_t count_ = 0;
};

class Tail {
 public:
  // What is sealed together: groups in one slot, at most `seal_groups`.
  struct Due {
    std::int64_t slot = 0;
    std::vector<std::int64_t> groups;
  };
  static constexpr std::size_t seal_groups = 8;
  // Stamps of a group in a row: they lie in [first_ms, last_ms].
  struct Held {
    std::int64_t grp = 0;
    std::int64_t first_ms = 0;
    std::int64_t last_ms = 0;
  };

  [[nodiscard]] Result<void> load(Connection& connection);

  [[nodiscard]] std::size_t rows() const { return rows_.size(); }  // that hold what is not sealed
  [[nodiscard]] std::int64_t oldest_ms() const { return rows_.empty() ? 0 : rows_.front().first_ms; }

  // A sample of `grp` has to be younger than this.
  [[nodiscard]] std::int64_t newest_ms(std::int64_t grp) const;

  // Whether another group has taken over from `grp` in this slot or before.
  [[nodiscard]] bool ends_in(std::int64_t grp, std::int64_t slot) const;

  // A row for a frame that holds `held`, all of this bundle; each is short of a few days.
  [[nodiscard]] Result<void> insert(std::int64_t bundle, std::string_view frame, std::span<const Held> held);
  void closed(std::int64_t grp) { groups_[grp].closed = true; }

  // What may be sealed when the newest sample of all is `now_ms` old: the oldest slot first, and each group a while
  // after the slot's end, so that not all are sealed at once. No groups: nothing is due.
  [[nodiscard]] Due due(std::int64_t now_ms) const;
  // decode_frame() for each row of the slot that names one of the groups, in order; what does not decode is left out
  // and counted.
  [[nodiscard]] Result<void> read(const Due& due, const std::function<bool(std::int64_t grp)>& want,
                                  const std::function<void(const ColumnView&)>& each);
  // The groups are sealed up to the end of the slot.
  [[nodiscard]] Result<void> sealed(const Due& due);

  // Drops some rows without sealing them. How many of their samples waited for it.
  [[nodiscard]] Result<std::uint64_t> drop_oldest(std::size_t rows);
  // Those that a row names, free or not.
  [[nodiscard]] std::unordered_set<std::int64_t> groups_in_rows() const;
  // A grp that no row names is not there any more.
  void forget(std::int64_t grp) { groups_.erase(grp); }

  // Rows that were found damaged, each once; loading anew forgets none.
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
    std::int64_t sealed = 0;  // the first slot that is not
    std::int64_t newest_ms = INT64_MIN;
    bool closed = false;
  };
  [[nodiscard]] Result<void> load_groups(Connection& connection);
  [[nodiscard]] Result<void> load_rows(Connection& connection);
  [[nodiscard]] Result<void> remove(const Row& row);
  [[nodiscard]] Result<std::uint64_t> count_waiting(const Row& row);
  [[nodiscard]] bool holds_waiting(const Row& row) const;
  [[nodiscard]] Result<void> release(Row row, std::int64_t slot);
  // Of a row that is read from the file.
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
  std::deque<Row> rows_;                                    // by number
  std::deque<Row> free_;
  std::set<std::pair<std::int64_t, std::int64_t>> waiting_;  // slot and grp
  std::unordered_map<std::int64_t, Group> groups_;
  std::string padded_;
  std::set<std::pair<std::int64_t, std::int64_t>> damaged_;  // id and first stamp
};

}  // namespace perjoule::storage
