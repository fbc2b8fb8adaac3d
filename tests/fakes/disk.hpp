// A disk that fails, or loses its power, when a test says so: an SQLite VFS over the real one, in a directory of its
// own.
//
// While an object lives, it is the process's default VFS: what storage/database opens goes through it. It counts the
// operations (below) on the databases, WALs and rollback journals in its directory; the WAL index, locks, and what the
// process does to the files without SQLite pass by. One object at a time; it outlives every connection that was opened
// through it. Any thread may operate; the test's thread sets the faults.
//
// The directory lies in memory where it can, and no sync is passed on: simulated years run as quickly as SQLite does.
//
// Operations are numbered from 1. What fails, fails as unix does: a write that fails may have written its first half; a
// full disk refuses to open for creating, to write, truncate and sync, and lets through what reads or removes.
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
  // remembering: keeps what a power cut can take back. forgetful: counts and fails only, which costs little.
  enum class Memory : std::uint8_t { forgetful, remembering };

  explicit Disk(Memory memory = Memory::forgetful);
  ~Disk();  // removes the directory
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const;
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path() / name; }

  [[nodiscard]] std::uint64_t operations() const;
  [[nodiscard]] std::uint64_t operations(Operation operation) const;

  // The sizes of the databases, WALs and journals: at present, and the most that their sum has ever been.
  [[nodiscard]] std::int64_t bytes() const;
  [[nodiscard]] std::int64_t bytes_peak() const;

  // Called before each operation with its number, from the thread that operates, which must not ask this object.
  using Watcher = std::function<void(std::uint64_t number, Operation operation, const std::string& path)>;
  void watch(Watcher watcher);

  // One operation; all from one on; each by a coin that falls so once in `one_in`. The last call holds, until heal().
  void fail(std::uint64_t number, DiskFault fault);
  void fail_from(std::uint64_t number, DiskFault fault);
  void fail_randomly(std::uint64_t seed, std::uint64_t one_in, DiskFault fault);
  void heal();
  [[nodiscard]] std::uint64_t failed() const;      // operations that failed since the object was made
  [[nodiscard]] std::string last_failed() const;   // "sync history.db-wal"; "" when none has
  [[nodiscard]] Operation last_operation() const;  // the kind of that one

  // The power goes at this operation: it is under way, and from then on everything fails; 0: it stays. Needs
  // Memory::remembering.
  void cut_at(std::uint64_t number);
  [[nodiscard]] bool is_cut() const;
  // Once every connection is closed: the power is back, and the files hold what survived. May be called again, each
  // time from the state at the last cut.
  void after_cut(std::uint64_t seed, Survival survival);
  // What had not been synced at the last cut: writes, truncations, names made and removed.
  [[nodiscard]] std::size_t unsynced() const;

  struct Shim;

 private:
  std::unique_ptr<Shim> shim_;
};

[[nodiscard]] const char* name(Operation operation);
[[nodiscard]] const char* name(Survival survival);

}  // namespace perjoule::fakes
