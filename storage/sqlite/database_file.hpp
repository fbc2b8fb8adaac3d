// Opens ledger.db or history.db, and never deletes or overwrites a file that it cannot use.
//
// A file that is not ours, is damaged, or was written by a newer version is renamed (with its -wal, -shm and -journal)
// to `NAME.kept-2026-11-24T10-11-12Z`, and a new one is created; `notes` then gets a line for the log. A file of an
// older version is migrated. At most 16 kept files: with more, opening fails until the operator removes some. Blocks:
// it checks the whole file. To write, the caller holds the directory's lock (storage/directory.hpp). Any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "storage/sqlite/database.hpp"
#include "storage/sqlite/schema.hpp"

namespace perjoule::storage {

using Notes = std::vector<std::string>;  // one line each, for the log

// WAL with synchronous=FULL: a commit survives power loss. With NORMAL only checkpoints are synced, and a power loss
// would cost everything since the last one: ten minutes and more with few series. `now_ms` (wall clock) is the time in
// the name of a kept file.
[[nodiscard]] Result<Connection> open_database(const std::filesystem::path& path, const Format& format,
                                               std::int64_t now_ms, Notes& notes);

// What is wrong with a file of ours, read as a whole through a connection of its own; "" if nothing is. An error: it
// cannot be read at present, which does not mean that it is damaged.
[[nodiscard]] Result<std::string> defect_of(const std::filesystem::path& path, const Format& format);

// Renames what has the names of a database and of its -wal, -shm and -journal, as open_database does; logs: all but the
// database itself. For a running daemon that has the content in memory or has copied it: with 16 kept files they are
// removed, so that storing goes on. Returns what was done, for the log; "": nothing had these names.
enum class Aside : std::uint8_t { all, logs };
[[nodiscard]] Result<std::string> set_aside(const std::filesystem::path& path, Aside what, std::int64_t now_ms);

// For reading, while a daemon is running or not. Refuses files that `open_database` would set aside. A file of an older
// version is not migrated; the caller has to check which tables exist. Fault absent: there is no file.
[[nodiscard]] Result<Connection> open_database_read_only(const std::filesystem::path& path, const Format& format);

}  // namespace perjoule::storage
