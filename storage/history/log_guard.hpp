// Bounds the write-ahead log of history.db, also while a reader keeps SQLite from emptying it.
//
// A read transaction keeps what was committed after its beginning in the log: a checkpoint cannot pass it, and the log
// only grows. After a minute the reader is named, once. Sealing and retention stop when the log has passed its part of
// the size limit, and appending stops at the limit itself: the ticks wait in the writer's queue, which drops and counts
// the oldest. When the reader ends, all goes on. The store's thread; times are those of the samples.
#pragma once

#include <cstdint>
#include <filesystem>

#include "storage/sqlite/database.hpp"
#include "storage/store.hpp"

namespace perjoule::storage {

class LogGuard {
 public:
  explicit LogGuard(std::filesystem::path path) : path_(std::move(path)) {}

  // Divides a size limit between the file and its log; INT64_MAX: no limit.
  [[nodiscard]] Result<void> bound(Connection& connection, std::int64_t bytes_max);
  // Before and after each append: looks whether a reader holds the log back. `now_ms`: time of the newest sample.
  void look(const Connection& connection, std::int64_t now_ms);
  // Before an append of about this many pages: an error if file and log could exceed the limit.
  [[nodiscard]] Result<void> room_for(Connection& connection, std::int64_t pages);
  // Whether the log has room for sealing and retention, which can wait.
  [[nodiscard]] bool is_roomy(Connection& connection);
  [[nodiscard]] StoreNews take_news() { return std::exchange(news_, {}); }

 private:
  [[nodiscard]] Result<bool> fits(Connection& connection, std::int64_t pages) const;

  std::filesystem::path path_;
  std::int64_t bytes_max_ = 0;      // 0: bound() was not called yet
  std::int64_t wal_bytes_ = 0;      // the log's part of it
  std::int64_t starved_since_ = 0;  // time of the sample; 0: no reader holds the log back
  bool named_ = false;
  StoreNews news_;
};

}  // namespace perjoule::storage
