// What of a directory's files survives a power cut: the model behind Disk (tests/fakes/disk.hpp).
//
// The real files hold what a process sees. Beside them stands, for every file, how each write and truncation since its
// last sync can be undone, and for the directory, which names were made and removed since its last sync. Memory is
// bounded by what is written between two syncs. One thread at a time; the caller says what it does to the files.
//
// A file's own sync does not make its name durable, as POSIX has it. A write survives whole, not at all, or in some of
// its sectors; where two unsynced writes overlap, the later one lies on top if both survive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace perjoule::fakes {

// What survives of what was not synced.
enum class Survival : std::uint8_t {
  none,
  half,    // each write by a coin, some torn: later ones may survive where earlier ones do not
  prefix,  // all up to some moment, over all files; the write at that moment torn
  all,     // a cut that loses nothing: what a killed process leaves
};

constexpr std::int64_t sector_bytes = 512;

namespace durability_detail {

struct Change {
  std::uint64_t order = 0;
  bool truncation = false;
  std::int64_t offset = 0;  // of a truncation: the new size
  std::int64_t size_before = 0;
  std::string before;  // what it covered or cut off
  std::string after;   // what it wrote
};

// A file without its name.
struct Content {
  std::vector<Change> pending;
  std::string removed;  // the bytes, once no name leads to it any more
};

struct NameChange {
  std::uint64_t order = 0;
  std::string path;
  std::shared_ptr<Content> to;  // null: removed
};

}  // namespace durability_detail

class Durability {
 public:
  using File = std::shared_ptr<durability_detail::Content>;

  // A file was opened; `existed`: before that.
  File opened(const std::string& path, bool existed);
  // `size_before` and `before` (the bytes that are covered or cut off) as they were.
  void wrote(durability_detail::Content& file, std::int64_t offset, std::int64_t size_before, std::string before,
             std::string after);
  void truncated(durability_detail::Content& file, std::int64_t size, std::int64_t size_before, std::string before);
  static void synced(durability_detail::Content& file) { file.pending.clear(); }
  // Call it before the file is unlinked: its bytes are read.
  void removing(const std::string& path);
  void synced_directory();

  // The power is gone: reads the files as they are. What is noted from here on concerns the time after.
  void cut();
  // Rewrites the files to what survived the last cut; any number of times, each from the state at that cut. Deletes
  // what came beside them since.
  void rewrite(std::uint64_t seed, Survival survival);
  // Writes, truncations, creations and removals that were not durable at the last cut.
  [[nodiscard]] std::size_t lost_at_most() const;

 private:
  using Names = std::map<std::string, File>;
  struct Wreck {
    std::map<durability_detail::Content*, std::string> bytes;
    Names names;    // as they were
    Names durable;  // as the directory was last synced
    std::vector<durability_detail::NameChange> changes;
    std::vector<std::uint64_t> orders;  // of all that was not durable, ascending
  };

  [[nodiscard]] Names surviving_names(std::mt19937_64& random, Survival survival, std::uint64_t until) const;
  [[nodiscard]] static std::string image(const durability_detail::Content& file, std::string bytes,
                                         std::mt19937_64& random, Survival survival, std::uint64_t until);

  std::uint64_t next_order_ = 1;
  Names names_;
  Names durable_;
  std::vector<durability_detail::NameChange> changes_;
  Wreck wreck_;
};

}  // namespace perjoule::fakes
