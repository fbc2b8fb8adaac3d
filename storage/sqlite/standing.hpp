// Looks at each commit whether an open database is still what this process wrote, over all its files.
//
// Cheap checks first: do the names lead to the open files (Connection::place), and has another program changed the
// database (Connection::changed_by_others)? Only then, or when it is asked to, it reads the whole file through a second
// connection, whose cache hides nothing. The thread of the connection; blocks on the disk.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

#include "storage/sqlite/database_file.hpp"

namespace perjoule::storage {

enum class Standing : std::uint8_t {
  sound,
  rewritten,  // another program wrote to the file; now it is intact: the WAL may have had the overwritten pages
  logs_lost,  // as Place::logs_lost: the open connection still has everything
  lost,       // as Place::lost: the same
  starved,    // of the ledger: a reader has kept its WAL from being emptied until it was too large
  damaged,    // bytes of the file were overwritten, or it was cut; pages in the cache and in the WAL may still be good
};

struct Finding {
  Standing standing = Standing::sound;
  std::string what;  // one line for the log, with the path; "" when sound
};

class Inspector {
 public:
  Inspector(std::filesystem::path path, const Format& format) : path_(std::move(path)), format_(&format) {}

  // `thoroughly`: reads the whole file even if nothing else has written it. Reading it takes at most a tenth of the
  // time: until then a doubt waits.
  [[nodiscard]] Finding look(Connection& connection, bool thoroughly);

 private:
  std::filesystem::path path_;
  const Format* format_;
  bool doubtful_ = false;  // the file has to be read
  std::chrono::steady_clock::time_point not_before_;
};

}  // namespace perjoule::storage
