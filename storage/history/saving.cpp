// SqliteStore: what is done when others have moved, replaced or damaged its file.
#include <fmt/format.h>

#include <system_error>
#include <utility>

#include "storage/history/rescue.hpp"
#include "storage/history/sqlite_store.hpp"

namespace perjoule::storage {

namespace fs = std::filesystem;

namespace {

fs::path copy_of(const fs::path& path) {
  return path.string() + ".new";
}

}  // namespace

void SqliteStore::remove_copy(const fs::path& path) {
  std::error_code ignored;
  for (const char* suffix : {"", "-wal", "-shm", "-journal"})
    fs::remove(copy_of(path).string() + suffix, ignored);
}

bool SqliteStore::look(bool thoroughly) {
  found_ = inspector_.look(connection_, thoroughly);
  if (found_.standing == Standing::rewritten) {
    ++news_.recoveries;
    news_.lines.push_back(found_.what);
  }
  return found_.standing == Standing::sound || found_.standing == Standing::rewritten;
}

StoreNews SqliteStore::take_news() {
  StoreNews news = log_guard_.take_news();
  StoreNews own = std::exchange(news_, {});
  news.lines.insert(news.lines.end(), own.lines.begin(), own.lines.end());
  news.recoveries += own.recoveries;
  return news;
}

Result<bool> SqliteStore::save(bool alone, std::int64_t now_ms) {
  connection_.leave_as_is();  // closing would write to, or delete, what has the names now
  if (found_.standing == Standing::logs_lost) {
    const auto complete = connection_.checkpoint(Connection::Checkpoint::passive);
    if (!alone) return false;
    if (complete && *complete) {
      auto aside = set_aside(path_, Aside::logs, now_ms);
      if (!aside) return aside.error();
      ++news_.recoveries;
      news_.lines.push_back(fmt::format("{}{}{}; everything was written to the database", found_.what,
                                        aside->empty() ? "" : "; ", *aside));
      return true;
    }
    // A reader of another process keeps the log from being emptied: as if the file were lost.
  }
  // A file that was moved is then complete where it is now.
  if (found_.standing == Standing::lost) [[maybe_unused]]
    auto completed = connection_.checkpoint(Connection::Checkpoint::passive);
  const fs::path copy = copy_of(path_);
  const auto copied = copy_to(copy, now_ms);
  if (!copied) return copied.error();
  auto aside = set_aside(path_, Aside::all, now_ms);
  if (!aside) return aside.error();
  std::error_code error;
  fs::rename(copy, path_, error);
  if (error) return error_from_errno(error.value(), fmt::format("rename {} to {}", copy.string(), path_.string()));
  ++news_.recoveries;
  news_.lines.push_back(fmt::format("{}{}{}; {}", found_.what, aside->empty() ? "" : "; ", *aside, *copied));
  return true;
}

// Returns what was copied, for the log.
Result<std::string> SqliteStore::copy_to(const fs::path& path, std::int64_t now_ms) {
  remove_copy(path_);
  Notes notes;
  auto to = open_database(path, history_format, now_ms, notes);
  if (!to) return to.error();
  // The copy is synced as a whole at the end, by a checkpoint that has something to write.
  if (auto set = to->run("PRAGMA synchronous=OFF"); !set) return set.error();
  const auto rescued = rescue(connection_, *to);
  if (!rescued) return rescued.error();
  auto set = to->run(fmt::format("PRAGMA synchronous=FULL; PRAGMA user_version={}", history_format.migrations.size()));
  if (!set) return set.error();
  const auto complete = to->checkpoint(Connection::Checkpoint::truncate);
  if (!complete) return complete.error();
  return fmt::format("{} rows were copied to a new file, {}", rescued->rows,
                     rescued->failures > 0 ? "those on pages that could not be read were lost" : "none was lost");
}

}  // namespace perjoule::storage
