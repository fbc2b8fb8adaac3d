// Which processes read a database in WAL mode: the holders of locks on its WAL index, from /proc/locks.
//
// A read transaction holds a shared POSIX lock on one of the bytes 123 to 127 of the -shm file (section 2.3.2 of
// sqlite.org/walformat.html). Works without privileges for every process of the PID namespace. Any thread; blocks on
// procfs only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "storage/sqlite/database_watch.hpp"

namespace perjoule::storage {

// The pids, each once, in the order of the text; 0: a process of another PID namespace. The device is compared only if
// a line has it, because some file systems (btrfs, overlayfs) show another one in stat.
[[nodiscard]] std::vector<int> readers_in(std::string_view locks, const FileIdentity& index);

// For a message: "pid 123 (sqlite3)", at most three of them; other processes before this one, "a process that is not
// visible here" if none is found. `path`: of the database.
[[nodiscard]] std::string readers_of(const std::filesystem::path& path, const std::filesystem::path& procfs = "/proc");

}  // namespace perjoule::storage
