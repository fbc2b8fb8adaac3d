#include "storage/history/log_guard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "storage/history/retention.hpp"
#include "storage/sqlite/lock_holders.hpp"

namespace perjoule::storage {

namespace {

constexpr std::int64_t wal_bytes_max = 8 << 20;
constexpr std::int64_t page_bytes = 4096;
// sqlite.org/walformat.html, sections 2.1 and 2.2
constexpr std::int64_t wal_header_bytes = 32;
constexpr std::int64_t frame_bytes = page_bytes + 24;
constexpr std::int64_t named_after_ms = 60'000;

std::int64_t file_bytes(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

}  // namespace

// The log is checkpointed when it is half full, so that the largest transaction has room.
Result<void> LogGuard::bound(Connection& connection, std::int64_t bytes_max) {
  if (bytes_max == bytes_max_) return {};
  wal_bytes_ = bytes_max == INT64_MAX ? wal_bytes_max : std::min(budget_of(bytes_max).wal, wal_bytes_max);
  connection.checkpoint_at(std::max<std::int64_t>(wal_bytes_ / 2 / page_bytes, 8));
  auto set = connection.run(fmt::format("PRAGMA journal_size_limit={}", wal_bytes_));
  if (set) bytes_max_ = bytes_max;
  return set;
}

void LogGuard::look(const Connection& connection, std::int64_t now_ms) {
  if (connection.log().kept == 0) {
    if (named_) {
      news_.lines.push_back(
          fmt::format("{}: no reader keeps its write-ahead log from being emptied any more, after {} s", path_.string(),
                      (now_ms - starved_since_) / 1000));
    }
    named_ = false;
    starved_since_ = 0;
    return;
  }
  // A clock that was set back begins the minute again.
  if (starved_since_ == 0 || (now_ms < starved_since_ && !named_)) starved_since_ = now_ms;
  if (named_ || now_ms - starved_since_ < named_after_ms) return;
  named_ = true;
  ++news_.starved_checkpoints;
  news_.lines.push_back(
      fmt::format("{}: {} has a read transaction open for more than a minute, so that the write-ahead log cannot be "
                  "emptied; at the size limit new samples are dropped; end that transaction or process",
                  path_.string(), readers_of(path_)));
}

// What file and log take at most after a transaction of so many pages: each may be new, and the log is not begun again.
Result<bool> LogGuard::fits(Connection& connection, std::int64_t pages) const {
  if (bytes_max_ == 0 || bytes_max_ == INT64_MAX) return true;
  auto count = connection.integer("PRAGMA page_count");
  if (!count) return count.error();
  const std::int64_t file = std::max(file_bytes(path_), (*count + pages) * page_bytes);
  const std::int64_t wal =
      std::max(file_bytes(path_.string() + "-wal"), wal_header_bytes + (connection.log().frames + pages) * frame_bytes);
  return file + wal <= bytes_max_;
}

Result<void> LogGuard::room_for(Connection& connection, std::int64_t pages) {
  if (connection.log().kept == 0) return {};
  // The reader may have ended since the last commit.
  if (auto complete = connection.checkpoint(Connection::Checkpoint::passive); !complete || *complete) return {};
  auto room = fits(connection, pages);
  if (!room) return room.error();
  if (*room) return {};
  return Error{Fault::transient,
               fmt::format("{}: it is at its size limit, because a reader keeps its write-ahead log from being emptied",
                           path_.string()),
               "end that reader; the log names it"};
}

bool LogGuard::is_roomy(Connection& connection) {
  if (connection.log().kept == 0) return true;
  auto room = fits(connection, wal_bytes_ / page_bytes);
  return room && *room;
}

}  // namespace perjoule::storage
