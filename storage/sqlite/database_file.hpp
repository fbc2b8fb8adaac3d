// Opening a database file of ours without ever losing what stands in its place.
//
// A file that is not ours, is damaged, or was written by a newer version is renamed (with its -wal, -shm and -journal)
// to `NAME.kept-2026-11-24T10-11-12Z` and a fresh one is made; `notes` then gets a line for the log. An older file of
// ours is migrated. At most 16 kept files: beyond that opening fails until somebody looks at them. Blocks (it checks
// the whole file); the caller holds the directory's lock (storage/directory.hpp).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "storage/sqlite/database.hpp"
#include "storage/sqlite/schema.hpp"

namespace perjoule::storage {

using Notes = std::vector<std::string>;  // one line each, for the log

// WAL, synchronous=FULL: a commit survives power loss. `now_ms` names a kept file.
[[nodiscard]] Result<Connection> open_database(const std::filesystem::path& path, const Format& format,
                                               std::int64_t now_ms, Notes& notes);

// For reading beside a running daemon, or after it. Refuses what `open_database` would have set aside. A file of an
// older version comes as it is: its reader asks which tables there are.
[[nodiscard]] Result<Connection> open_database_read_only(const std::filesystem::path& path, const Format& format);

}  // namespace perjoule::storage
