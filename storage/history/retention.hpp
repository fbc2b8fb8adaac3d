// Deletes old history: by age at each resolution, and by size, so that no resolution takes the space of another.
//
// If the file is too large, the resolution that is furthest above its share loses its oldest slot. Raw samples have 1/2
// of the size limit, minutes 3/8, hours 1/8; unused shares are lent to the others. The limit covers the file and its
// write-ahead log together. Freed pages are reused; the file itself shrinks only after the limit was lowered, a bounded
// number of pages at a time, so that a commit stays short. One thread at a time, inside the store's transactions.
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

// How a size limit of `bytes_max` is divided. The write-ahead log gets `wal` bytes and the file `file`. Retention drops
// data while more than `used` bytes of the file are in use, so that the next commit and sealing find room.
struct Budget {
  std::int64_t wal = 0;
  std::int64_t file = 0;
  std::int64_t used = 0;
};
[[nodiscard]] Budget budget_of(std::int64_t bytes_max);

// Data before these times expires; the file and its write-ahead log must fit into `bytes_max`. The defaults: no limit.
struct RetentionLimits {
  std::int64_t raw_from_ms = INT64_MIN;
  std::int64_t minute_from_ms = INT64_MIN;
  std::int64_t hour_from_ms = INT64_MIN;
  std::int64_t bytes_max = INT64_MAX;
};

class Retention {
 public:
  // Reads the sizes of all stored data, once at start: about a second for a few gigabytes.
  [[nodiscard]] static Result<Retention> load(Connection& connection);

  // To be called after a sealing was committed.
  void add(const Sealer::Written& written);
  // Whether `drop` has something to do.
  [[nodiscard]] Result<bool> is_due(Connection& connection, const RetentionLimits& limits);
  // Drops at most one slot of each resolution by age, and a few slots by size. Unsealed samples are dropped only by
  // size, and only if nothing else is left, because their minute and hour roll-ups may have to be kept for long. Then
  // deletes the grp and series rows that nothing refers to; those in use by this process stay. True: call it again.
  [[nodiscard]] Result<bool> drop(Connection& connection, const RetentionLimits& limits, Tail& tail,
                                  const std::unordered_set<std::int64_t>& groups_in_use,
                                  const std::unordered_set<std::int64_t>& series_in_use);
  // Ids of grp rows that were deleted since the last call. They may be reused, so caches must forget them.
  [[nodiscard]] std::vector<std::int64_t> take_gone() { return std::exchange(gone_, {}); }
  // Raw samples that were dropped since the last call.
  [[nodiscard]] std::uint64_t take_expired() { return std::exchange(expired_samples_, 0); }
  // The part of `bytes_max` that remains for the resolutions after the tail, the identities and the B-trees.
  [[nodiscard]] Result<std::int64_t> room_for_resolutions(Connection& connection, std::int64_t bytes_max) const;
  // Start of the oldest slot with sealed raw samples; 0: no such slot.
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
  struct Gone {  // a grp row to delete
    std::int64_t grp = 0;
    std::int64_t sealed = 0;
    std::vector<std::int64_t> members;
  };
  [[nodiscard]] static Result<bool> shrink(Connection& connection, const Budget& budget);
  [[nodiscard]] Result<void> drop_groups(Connection& connection, std::span<const Gone> gone,
                                         const std::unordered_set<std::int64_t>& used);
  [[nodiscard]] Result<void> sweep(Connection& connection, const std::unordered_set<std::int64_t>& used);
  [[nodiscard]] Result<void> drop_identities(Connection& connection, const Tail& tail,
                                             const std::unordered_set<std::int64_t>& groups_in_use,
                                             const std::unordered_set<std::int64_t>& series_in_use);

  Stock stocks_[levels];
  std::uint64_t expired_samples_ = 0;
  std::vector<std::int64_t> gone_;
  bool dropped_ = false;  // data was dropped since identities were last checked
  bool swept_ = false;    // sweep() has run in this process
};

}  // namespace perjoule::storage
