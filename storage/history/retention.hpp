// What the history forgets: by age at each resolution, and by size so that no resolution starves another.
//
// When the file is too large, the resolution that is furthest above its share gives up its oldest slot: raw samples own
// half of the budget, minutes three eighths, hours an eighth; what one does not use the others may. The budget is for
// the file and its write-ahead log together. Pages that become free are used again; the file shrinks only after the
// budget did, a bounded number of pages at a time. One thread at a time, inside the store's transaction.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

#include "storage/history/sealer.hpp"
#include "storage/history/tail.hpp"
#include "storage/sqlite/database.hpp"
#include "storage/store.hpp"

namespace perjoule::storage {

// Of a budget of `bytes_max` for all: the write-ahead log is held to `wal`, the file to `file`, and retention begins at
// `used`, so that a commit and a sealing find room.
struct Budget {
  std::int64_t wal = 0;
  std::int64_t file = 0;
  std::int64_t used = 0;
};
[[nodiscard]] Budget budget_of(std::int64_t bytes_max);

// What lies before these stamps may go; the file and its write-ahead log fit `bytes_max`.
struct RetentionLimits {
  std::int64_t raw_from_ms = INT64_MIN;
  std::int64_t minute_from_ms = INT64_MIN;
  std::int64_t hour_from_ms = INT64_MIN;
  std::int64_t bytes_max = INT64_MAX;
};

class Retention {
 public:
  // Looks at the whole file once: a second for each few gigabytes.
  [[nodiscard]] static Result<Retention> load(Connection& connection);

  // After a sealing was committed.
  void add(const Sealer::Written& written);
  // Whether `drop` would find something to do.
  [[nodiscard]] Result<bool> is_due(Connection& connection, const RetentionLimits& limits);
  // Drops at most one slot of each resolution by age and a few by size. What is not sealed yet goes only when nothing
  // else is left: its minutes and hours may have long to live. True: more is to do.
  [[nodiscard]] Result<bool> drop(Connection& connection, const RetentionLimits& limits, Tail& tail,
                                  const std::unordered_set<std::int64_t>& groups_in_use,
                                  const std::unordered_set<std::int64_t>& series_in_use);
  // Memberships that went since this was asked last: their numbers may be given out again.
  [[nodiscard]] std::vector<std::int64_t> take_gone() { return std::exchange(gone_, {}); }
  // Raw samples that went, likewise.
  [[nodiscard]] std::uint64_t take_expired() { return std::exchange(expired_samples_, 0); }
  // What of `bytes_max` is left to the resolutions beside the tail, the identities and the trees themselves.
  [[nodiscard]] Result<std::int64_t> room_for_resolutions(Connection& connection, std::int64_t bytes_max) const;
  // Where the oldest slot begins that raw samples are sealed of; 0: none.
  [[nodiscard]] std::int64_t oldest_ms() const;

 private:
  static constexpr std::int64_t no_slot = -1;
  enum Level : std::size_t { raw, minute, hour, levels };
  struct Stock {
    std::int64_t bytes = 0;
    std::int64_t oldest_slot = no_slot;
  };
  [[nodiscard]] static Result<std::int64_t> used_bytes(Connection& connection);
  [[nodiscard]] Result<void> drop_oldest(Connection& connection, Level level);
  [[nodiscard]] Result<void> look_at_oldest(Connection& connection, Level level);
  [[nodiscard]] Result<bool> fit(Connection& connection, const Budget& budget, Tail& tail);
  [[nodiscard]] bool expired(Level level, const RetentionLimits& limits) const;
  [[nodiscard]] Level largest() const;
  struct Gone {  // a membership
    std::int64_t grp = 0;
    std::int64_t sealed = 0;
    std::vector<std::int64_t> members;
  };
  [[nodiscard]] static Result<bool> shrink(Connection& connection, std::int64_t bytes);
  [[nodiscard]] Result<void> drop_groups(Connection& connection, std::span<const Gone> gone,
                                         const std::unordered_set<std::int64_t>& used);
  [[nodiscard]] Result<void> sweep(Connection& connection, const std::unordered_set<std::int64_t>& used);
  [[nodiscard]] Result<void> drop_identities(Connection& connection, const Tail& tail,
                                             const std::unordered_set<std::int64_t>& groups_in_use,
                                             const std::unordered_set<std::int64_t>& series_in_use);

  Stock stocks_[levels];
  std::uint64_t expired_samples_ = 0;
  std::vector<std::int64_t> gone_;
  bool dropped_ = false;  // something, since identities were looked at
  bool swept_ = false;    // series that lost their last grp while an earlier process used them are marked
};

}  // namespace perjoule::storage
