// A simulated disk that fails or loses power when a test requests it: an SQLite VFS over the real one, with a directory
// of its own.
//
// While an object lives, it is the process's default VFS, so storage/sqlite/database opens files through it. It counts
// the operations (below) on the databases, WALs and rollback journals in its directory. Not counted are the WAL index,
// locks, and file accesses without SQLite. One object at a time; it must outlive every connection that was opened
// through it. Any thread may do I/O; the test's thread sets the faults.
//
// The directory is in /dev/shm if possible and syncs are not passed on, so that simulated years run at SQLite's speed.
//
// Operations are numbered from 1. Faults behave as on unix: a failed write may have written its first half; a full disk
// refuses to create, write, truncate and sync, and allows reads and removals.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "tests/fakes/durability.hpp"

namespace perjoule::fakes {

enum class Operation : std::uint8_t { open, read, write, sync, truncate, remove };
enum class DiskFault : std::uint8_t { io, full };  // EIO, ENOSPC

class Disk {
 public:
  // remembering: records unsynced changes, so that a power cut can undo them. forgetful: only counts and fails, which
  // is much faster.
  enum class Memory : std::uint8_t { forgetful, remembering };

  explicit Disk(Memory memory = Memory::forgetful);
  ~Disk();  // removes the directory
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const;
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path() / name; }

  [[nodiscard]] std::uint64_t operations() const;
  [[nodiscard]] std::uint64_t operations(Operation operation) const;

  // The sum of the sizes of the databases, WALs and journals: now, and its maximum so far.
  [[nodiscard]] std::int64_t bytes() const;
  [[nodiscard]] std::int64_t bytes_peak() const;

  // Called before each operation with its number, on the thread that does it. The callee must not call this object.
  using Watcher = std::function<void(std::uint64_t number, Operation operation, const std::string& path)>;
  void watch(Watcher watcher);

  // Makes one operation fail; or all from one on; or each with probability 1 / one_in. The last call of these four
  // applies.
  void fail(std::uint64_t number, DiskFault fault);
  void fail_from(std::uint64_t number, DiskFault fault);
  void fail_randomly(std::uint64_t seed, std::uint64_t one_in, DiskFault fault);
  void heal();
  [[nodiscard]] std::uint64_t failed() const;      // operations that failed since the object was made
  [[nodiscard]] std::string last_failed() const;   // "sync history.db-wal"; "" if no operation has failed
  [[nodiscard]] Operation last_operation() const;  // the kind of that one

  // Cuts the power at this operation: it has been started, and every later operation fails; 0: no cut. Requires
  // Memory::remembering.
  void cut_at(std::uint64_t number);
  [[nodiscard]] bool is_cut() const;
  // Restores power, after every connection was closed: the files then have the contents that survived. May be called
  // repeatedly; each call starts from the state at the last cut.
  void after_cut(std::uint64_t seed, Survival survival);
  // Number of changes not synced at the last cut: writes, truncations, files created and removed.
  [[nodiscard]] std::size_t unsynced() const;

  struct Shim;

 private:
  std::unique_ptr<Shim> shim_;
};

[[nodiscard]] const char* name(Operation operation);
[[nodiscard]] const char* name(Survival survival);

}  // namespace perjoule::fakes
