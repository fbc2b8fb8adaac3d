// Models which contents of a directory survive a power cut; used by Disk (tests/fakes/disk.hpp).
//
// The real files have the contents that a process sees. This model records, for each file, how to undo each write and
// truncation since its last sync, and for the directory, the names created and removed since its last sync. Its memory
// is bounded by the bytes written between two syncs. One thread at a time; the caller reports each change to the files.
//
// As in POSIX, syncing a file does not make its name durable. A write survives completely, not at all, or in some of
// its sectors. Where two unsynced writes overlap and both survive, the later one wins.
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

// Which of the unsynced changes survive.
enum class Survival : std::uint8_t {
  none,
  half,    // each write at random, some torn: later ones may survive when earlier ones do not
  prefix,  // all up to some moment, in all files; the write at that moment is torn
  all,     // nothing is lost, as after kill -9
};

constexpr std::int64_t sector_bytes = 512;

namespace durability_detail {

struct Change {
  std::uint64_t order = 0;
  bool truncation = false;
  std::int64_t offset = 0;  // for a truncation: the new size
  std::int64_t size_before = 0;
  std::string before;  // the bytes that it overwrote or cut off
  std::string after;   // the bytes that it wrote
};

// A file, independent of its name (an inode).
struct Content {
  std::vector<Change> pending;
  std::string removed;  // the contents, after the last name was removed
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

  // A file was opened; `existed`: it was there before.
  File opened(const std::string& path, bool existed);
  // A write or truncation; `before`: the bytes that are overwritten or cut off.
  void wrote(durability_detail::Content& file, std::int64_t offset, std::int64_t size_before, std::string before,
             std::string after);
  void truncated(durability_detail::Content& file, std::int64_t size, std::int64_t size_before, std::string before);
  static void synced(durability_detail::Content& file) { file.pending.clear(); }
  // Call it before the file is unlinked, because it reads the contents.
  void removing(const std::string& path);
  void synced_directory();

  // The power fails: reads the files as they are. Changes reported later belong to the time after the cut.
  void cut();
  // Rewrites the files to what survived the last cut, and deletes files created since. May be called repeatedly; each
  // call starts from the state at that cut.
  void rewrite(std::uint64_t seed, Survival survival);
  // Writes, truncations, creations and removals that were not durable at the last cut.
  [[nodiscard]] std::size_t lost_at_most() const;

 private:
  using Names = std::map<std::string, File>;
  struct Wreck {
    std::map<durability_detail::Content*, std::string> bytes;
    Names names;    // at the cut
    Names durable;  // at the last sync of the directory
    std::vector<durability_detail::NameChange> changes;
    std::vector<std::uint64_t> orders;  // of all changes that were not durable, ascending
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
