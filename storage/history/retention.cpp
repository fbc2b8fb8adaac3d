#include "storage/history/retention.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "storage/history/capacity.hpp"
#include "storage/history/identities.hpp"
#include "storage/history/slot.hpp"

namespace perjoule::storage {

namespace {

constexpr std::int64_t page_bytes = 4096;
constexpr int slots_by_size = 4;  // dropped per call
constexpr std::size_t rows_per_call = 64;
constexpr std::size_t rows_at_once = 16;
constexpr std::int64_t vacuum_pages_max = 256;
constexpr std::int64_t hour_slots = hour_ms / slot_ms;

}  // namespace

Budget budget_of(std::int64_t bytes_max) {
  Budget budget;
  budget.wal = std::min<std::int64_t>(bytes_max / 4, 8 << 20);
  budget.file = bytes_max - budget.wal;
  budget.used = budget.file - std::clamp<std::int64_t>(budget.file / 16, 64 << 10, 8 << 20);
  return budget;
}

Result<Retention> Retention::load(Connection& connection) {
  Retention made;
  constexpr std::array sums = {"SELECT sum(length(d)) FROM chunk", "SELECT sum(length(d)) FROM roll_1m",
                               "SELECT count(*) FROM roll_1h"};
  for (std::size_t level = 0; level < levels; ++level) {
    auto sum = connection.integer(sums[level]);
    if (!sum) return sum.error();
    made.stocks_[level].bytes = level == hour ? *sum * hour_row_bytes : *sum;
    if (auto looked = made.look_at_oldest(connection, static_cast<Level>(level)); !looked) return looked.error();
  }
  return made;
}

Result<void> Retention::look_at_oldest(Connection& connection, Level level) {
  constexpr std::array sql = {"SELECT ifnull(min(k) >> 24, -1) FROM chunk",
                              "SELECT ifnull(min(k) >> 24, -1) FROM roll_1m",
                              "SELECT ifnull(min(start_s) / 900, -1) FROM roll_1h"};
  auto oldest = connection.integer(sql[level]);
  if (!oldest) return oldest.error();
  stocks_[level].oldest_slot = *oldest;
  if (*oldest == no_slot) stocks_[level].bytes = 0;
  return {};
}

void Retention::add(const Sealer::Written& written) {
  stocks_[raw].bytes += written.raw_bytes;
  stocks_[minute].bytes += written.minute_bytes;
  stocks_[hour].bytes += written.hour_rows * hour_row_bytes;
  for (Stock& stock : stocks_) {
    if (stock.oldest_slot == no_slot || written.slot < stock.oldest_slot) stock.oldest_slot = written.slot;
  }
}

std::int64_t Retention::oldest_ms() const {
  return stocks_[raw].bytes > 0 ? slot_start(stocks_[raw].oldest_slot) : 0;
}

Result<std::int64_t> Retention::used_bytes(Connection& connection) {
  auto pages = connection.integer("PRAGMA page_count");
  if (!pages) return pages;
  auto free = connection.integer("PRAGMA freelist_count");
  if (!free) return free;
  return (*pages - *free) * page_bytes;
}

Result<std::int64_t> Retention::room_for_resolutions(Connection& connection, std::int64_t bytes_max) const {
  if (bytes_max == INT64_MAX) return INT64_MAX;
  auto used = used_bytes(connection);
  if (!used) return used;
  std::int64_t others = *used;
  for (const Stock& stock : stocks_)
    others -= stock.bytes;
  return std::max<std::int64_t>(budget_of(bytes_max).used - others, 0);
}

bool Retention::expired(Level level, const RetentionLimits& limits) const {
  const std::int64_t oldest_ms = level == raw      ? limits.raw_from_ms
                                 : level == minute ? limits.minute_from_ms
                                                   : limits.hour_from_ms;
  const std::int64_t width_ms = level == hour ? hour_ms : slot_ms;
  const Stock& stock = stocks_[level];
  return stock.bytes > 0 && slot_start(stock.oldest_slot) + width_ms <= oldest_ms;
}

Retention::Level Retention::largest() const {
  std::size_t found = raw;  // the largest relative to its share
  for (std::size_t level = 0; level < levels; ++level) {
    if (static_cast<double>(stocks_[level].bytes) / resolution_shares[level] >
        static_cast<double>(stocks_[found].bytes) / resolution_shares[found]) {
      found = level;
    }
  }
  return static_cast<Level>(found);
}

Result<bool> Retention::is_due(Connection& connection, const RetentionLimits& limits) {
  if (expired(raw, limits) || expired(minute, limits) || expired(hour, limits)) return true;
  if (limits.bytes_max == INT64_MAX) return false;
  const Budget budget = budget_of(limits.bytes_max);
  auto used = used_bytes(connection);
  if (!used) return used.error();
  auto pages = connection.integer("PRAGMA page_count");
  if (!pages) return pages.error();
  return *used > budget.used || *pages * page_bytes > budget.file;
}

Result<void> Retention::drop_oldest(Connection& connection, Level level) {
  dropped_ = true;
  Stock& stock = stocks_[level];
  if (level == hour) {
    const std::int64_t next_s = (stock.oldest_slot / hour_slots + 1) * hour_ms / 1000;
    if (auto done = connection.run(fmt::format("DELETE FROM roll_1h WHERE start_s < {}", next_s)); !done) return done;
    stock.bytes -= connection.changes() * hour_row_bytes;
    return look_at_oldest(connection, level);
  }
  const char* table = level == raw ? "chunk" : "roll_1m";
  const std::int64_t next = slot_key(stock.oldest_slot + 1, 0);
  auto bytes = connection.integer(fmt::format("SELECT sum(length(d)) FROM {} WHERE k < {}", table, next));
  if (!bytes) return bytes.error();
  stock.bytes -= *bytes;
  if (level == raw) {
    auto samples = connection.integer(fmt::format("SELECT sum(samples) FROM chunk WHERE k < {}", next));
    if (!samples) return samples.error();
    expired_samples_ += static_cast<std::uint64_t>(*samples);
  }
  if (auto done = connection.run(fmt::format("DELETE FROM {} WHERE k < {}", table, next)); !done) return done;
  return look_at_oldest(connection, level);
}

Result<bool> Retention::drop(Connection& connection, const RetentionLimits& limits, Tail& tail,
                             const std::unordered_set<std::int64_t>& groups_in_use,
                             const std::unordered_set<std::int64_t>& series_in_use) {
  bool more = false;
  for (const Level level : {raw, minute, hour}) {
    if (!expired(level, limits)) continue;
    if (auto dropped = drop_oldest(connection, level); !dropped) return dropped.error();
    more = more || expired(level, limits);
  }
  if (limits.bytes_max < INT64_MAX) {
    auto again = fit(connection, budget_of(limits.bytes_max), tail);
    if (!again) return again;
    more = more || *again;
  }
  if (!dropped_) return more;
  auto done = drop_identities(connection, tail, groups_in_use, series_in_use);
  if (!done) return done.error();
  dropped_ = false;
  return more;
}

// Drops sealed slots first; rows of the tail only if nothing is sealed.
Result<bool> Retention::fit(Connection& connection, const Budget& budget, Tail& tail) {
  std::size_t rows = 0;
  for (int slots = 0;;) {
    auto used = used_bytes(connection);
    if (!used) return used.error();
    if (*used <= budget.used) break;
    const Level level = largest();
    if (stocks_[level].bytes > 0) {
      if (slots++ == slots_by_size) return true;
      if (auto dropped = drop_oldest(connection, level); !dropped) return dropped.error();
    } else {
      if (tail.rows() == 0) break;
      if (rows == rows_per_call) return true;
      rows += rows_at_once;
      dropped_ = true;
      auto dropped = tail.drop_oldest(rows_at_once);
      if (!dropped) return dropped.error();
      expired_samples_ += *dropped;
    }
  }
  return shrink(connection, budget);
}

// Each page that is moved is written to the log, which must stay within its part of the limit.
Result<bool> Retention::shrink(Connection& connection, const Budget& budget) {
  const std::int64_t bytes = budget.file;
  const std::int64_t vacuum_pages = std::clamp<std::int64_t>(budget.wal / 4 / page_bytes, 16, vacuum_pages_max);
  auto pages = connection.integer("PRAGMA page_count");
  if (!pages) return pages.error();
  if (*pages * page_bytes <= bytes) return false;
  const std::int64_t surplus = (*pages * page_bytes - bytes) / page_bytes + 1;
  auto shrunk = connection.run(fmt::format("PRAGMA incremental_vacuum({})", std::min(surplus, vacuum_pages)));
  if (!shrunk) return shrunk.error();
  return surplus > vacuum_pages;
}

// Once per process: sets last_slot of series that have no grp row but were in use by an earlier process when they lost
// their last one, so that they are deleted once their hour roll-ups have expired.
Result<void> Retention::sweep(Connection& connection, const std::unordered_set<std::int64_t>& used) {
  if (swept_) return {};
  auto series = connection.prepare("SELECT id FROM series WHERE last_slot IS NULL");
  if (!series) return series.error();
  std::vector<std::int64_t> unused;
  for (;;) {
    auto row = series->step();
    if (!row) return row.error();
    if (!*row) break;
    if (!used.contains(series->integer(0))) unused.push_back(series->integer(0));
  }
  for (const std::int64_t id : unused) {
    auto marked = connection.run(fmt::format(
        "UPDATE series SET last_slot = (SELECT ifnull(max(start_s), 0) / 900 + 4 FROM roll_1h) WHERE id = {}", id));
    if (!marked) return marked;
  }
  swept_ = true;
  return {};
}

Result<void> Retention::drop_groups(Connection& connection, std::span<const Gone> gone,
                                    const std::unordered_set<std::int64_t>& used) {
  for (const Gone& each : gone) {
    auto dropped = connection.run(fmt::format("DELETE FROM grp WHERE id = {}", each.grp));
    if (!dropped) return dropped;
    gone_.push_back(each.grp);
    for (const std::int64_t series : each.members) {
      if (used.contains(series)) continue;
      auto noted = connection.run(fmt::format(
          "UPDATE series SET last_slot = max(ifnull(last_slot, 0), {}) WHERE id = {}", each.sealed, series));
      if (!noted) return noted;
    }
  }
  return {};
}

// Deletes grp rows without stored data, then series without a grp row and without hour roll-ups.
Result<void> Retention::drop_identities(Connection& connection, const Tail& tail,
                                        const std::unordered_set<std::int64_t>& groups_in_use,
                                        const std::unordered_set<std::int64_t>& series_in_use) {
  std::int64_t oldest_slot = INT32_MAX;
  for (const Level level : {raw, minute}) {
    if (stocks_[level].bytes > 0) oldest_slot = std::min(oldest_slot, stocks_[level].oldest_slot);
  }
  const std::unordered_set<std::int64_t> in_rows = tail.groups_in_rows();
  std::unordered_set<std::int64_t> used = series_in_use;
  std::vector<Gone> gone;
  auto groups = connection.prepare("SELECT id, sealed, members FROM grp");
  if (!groups) return groups.error();
  for (;;) {
    auto row = groups->step();
    if (!row) return row.error();
    if (!*row) break;
    const std::int64_t grp = groups->integer(0);
    auto members = unpack_members(groups->blob(2));
    if (groups->integer(1) <= oldest_slot && !groups_in_use.contains(grp) && !in_rows.contains(grp)) {
      gone.push_back({grp, groups->integer(1), std::move(members)});
    } else {
      used.insert(members.begin(), members.end());
    }
  }
  if (auto dropped = drop_groups(connection, gone, used); !dropped) return dropped;
  if (auto swept = sweep(connection, used); !swept) return swept;
  return connection.run(fmt::format("DELETE FROM series WHERE last_slot <= {}",
                                    stocks_[hour].bytes > 0 ? stocks_[hour].oldest_slot : std::int64_t{INT32_MAX}));
}

}  // namespace perjoule::storage
