#include "storage/sqlite/database_watch.hpp"

#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>

#include "storage/sqlite/database.hpp"

namespace perjoule::storage {

namespace {

constexpr std::array suffixes = {"", "-wal", "-shm"};

// After each commit in WAL mode. An error of the checkpoint is not one of the commit; the next commit tries again.
int after_commit(void* data, sqlite3*, const char*, int pages) {
  auto& handle = *static_cast<database_detail::Handle*>(data);
  handle.log.frames = pages;
  if (pages >= handle.checkpoint_pages) handle.checkpoint(SQLITE_CHECKPOINT_PASSIVE);
  return SQLITE_OK;
}

}  // namespace

Change change(const Footprint& before, const Footprint& after) {
  if (before.page != after.page || before.bytes != after.bytes || before.written_ns != after.written_ns)
    return Change::content;
  return before.changed_ns != after.changed_ns ? Change::attributes : Change::none;
}

FileIdentity identity_of(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return {};
  return {status.st_dev, status.st_ino};
}

// Through SQLite's own descriptor, because closing another one would release this process's locks on the file.
bool database_detail::Handle::read(Footprint& footprint) const {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return false;
  footprint.bytes = status.st_size;
  footprint.written_ns = status.st_mtim.tv_sec * std::int64_t{1'000'000'000} + status.st_mtim.tv_nsec;
  footprint.changed_ns = status.st_ctim.tv_sec * std::int64_t{1'000'000'000} + status.st_ctim.tv_nsec;
  sqlite3_file* file = nullptr;
  sqlite3_file_control(database, "main", SQLITE_FCNTL_FILE_POINTER, static_cast<void*>(&file));
  if (file == nullptr || file->pMethods == nullptr) return false;
  // What is missing at the end of a short file is zeros.
  const int code = file->pMethods->xRead(file, footprint.page.data(), static_cast<int>(footprint.page.size()), 0);
  return code == SQLITE_OK || code == SQLITE_IOERR_SHORT_READ;
}

// Remembers the database as the checkpoint left it. What another program wrote before is not forgotten.
int database_detail::Handle::checkpoint(int mode) {
  const bool watched = watch.files[0].inode != 0;
  Footprint before;
  if (watched && read(before)) watch.foreign = std::max(watch.foreign, change(watch.footprint, before));
  int pages = 0;
  int done = 0;
  const int code = sqlite3_wal_checkpoint_v2(database, "main", mode, &pages, &done);
  if (pages >= 0 && done >= 0) log = {pages, std::max(pages - done, 0)};
  if (watched) [[maybe_unused]]
    const bool known = read(watch.footprint);
  return code;
}

void Connection::remember_files() {
  Watch& watch = handle_->watch;
  for (std::size_t n = 0; n < suffixes.size(); ++n)
    watch.files[n] = identity_of(handle_->path + suffixes[n]);
  watch.foreign = Change::none;
  if (!handle_->read(watch.footprint)) watch.footprint = {};
}

Place Connection::place() const {
  const Watch& watch = handle_->watch;
  if (identity_of(handle_->path) != watch.files[0]) return Place::lost;
  for (std::size_t n = 1; n < suffixes.size(); ++n) {
    if (identity_of(handle_->path + suffixes[n]) != watch.files[n]) return Place::logs_lost;
  }
  return Place::intact;
}

Change Connection::changed_by_others() const {
  Footprint now;
  const Change since = handle_->read(now) ? change(handle_->watch.footprint, now) : Change::none;
  return std::max(handle_->watch.foreign, since);
}

void Connection::checkpoint_at(std::int64_t pages) {
  handle_->checkpoint_pages = pages;
  sqlite3_wal_hook(handle_->database, after_commit, handle_.get());
}

Result<bool> Connection::checkpoint(Checkpoint mode) {
  const int code =
      handle_->checkpoint(mode == Checkpoint::passive ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_TRUNCATE);
  if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) return handle_->fail(code);
  return code == SQLITE_OK && handle_->log.kept == 0;
}

}  // namespace perjoule::storage
