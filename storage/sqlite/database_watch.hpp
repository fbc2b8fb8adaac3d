// What a connection remembers of its files, to notice that other programs moved, replaced or wrote them.
//
// SQLite keeps its files open and notices nothing of that: it goes on writing to a deleted WAL, and all of it is lost
// at the next start. The members of Connection that use this are in database_watch.cpp. The connection's thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace perjoule::storage {

// How an open database stands in its directory.
enum class Place : std::uint8_t {
  intact,     // the names of the database, its WAL and the WAL's index lead to the open files
  logs_lost,  // the database is there; its WAL or the index of it was deleted, moved or replaced
  lost,       // the database was deleted, moved or replaced
};

// A file behind a name; inode 0: none. A symbolic link is a file of its own.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};
[[nodiscard]] FileIdentity identity_of(const std::string& path);

// Changes with each write to a file: size, times, and the first page, because the times have a resolution of some
// milliseconds.
struct Footprint {
  std::int64_t bytes = 0;
  std::int64_t written_ns = 0;  // mtime: programs can set it
  std::int64_t changed_ns = 0;  // ctime: changes with mode, owner and links too
  std::array<unsigned char, 4096> page{};
};

enum class Change : std::uint8_t {
  none,
  attributes,  // mode, owner, links; or the content, with its time set back
  content,
};

[[nodiscard]] Change change(const Footprint& before, const Footprint& after);

struct Watch {
  std::array<FileIdentity, 3> files;  // the database, its WAL, the index; all 0: nothing is remembered
  Footprint footprint;
  Change foreign = Change::none;  // by other programs, before a checkpoint of this connection
};

}  // namespace perjoule::storage
