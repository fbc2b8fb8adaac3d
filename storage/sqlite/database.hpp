// RAII wrappers of SQLite: connections, statements, blobs, errors. No other file includes sqlite3.h.
//
// A connection and its statements belong to one thread at a time (SQLite's mutexes are off). A statement must not
// outlive its connection. All calls may block on the disk. Faults: broken = the file is corrupt, deleted, moved or not
// writable, so close it and open it again; denied = it cannot be opened; transient = full disk, failed I/O or a lock:
// the same call may succeed later.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "collectors/result.hpp"
#include "storage/sqlite/database_watch.hpp"

struct sqlite3;
struct sqlite3_blob;
struct sqlite3_stmt;

namespace perjoule::storage {

enum class Cause : std::uint8_t { none, full, io, read_only, corrupt, busy, cannot_open, other };

// The write-ahead log after the last commit of a connection.
struct LogState {
  std::int64_t frames = 0;  // pages in it
  std::int64_t kept = 0;    // pages that a reader kept from the database at the last checkpoint; 0: that was complete
};

namespace database_detail {
struct Handle {
  sqlite3* database = nullptr;
  std::string path;
  Cause cause = Cause::none;
  Watch watch;
  LogState log;
  std::int64_t checkpoint_pages = 0;
  std::map<const char*, sqlite3_stmt*> kept;  // kept statements not in use at present, by the address of their SQL
  Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle();
  Error fail(int code);
  // Reads the database's first page and attributes into `footprint`; false: they cannot be read.
  [[nodiscard]] bool read(Footprint& footprint) const;
  int checkpoint(int mode);
};
}  // namespace database_detail

class Connection;

class Statement {
 public:
  Statement() = default;
  ~Statement() { close(); }
  Statement(Statement&& other) noexcept { swap(other); }
  Statement& operator=(Statement&& other) noexcept {
    swap(other);
    return *this;
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Parameters count from 1. The bytes of a string or blob must live until the next reset.
  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, double value);  // NaN becomes NULL
  Statement& bind(int index, std::string_view text);
  Statement& bind_blob(int index, std::string_view bytes);

  // True: a row is available. False: done; the statement is reset and its bindings are cleared.
  [[nodiscard]] Result<bool> step();
  // Runs a statement to its end and ignores its rows.
  [[nodiscard]] Result<void> run();
  void reset();

  // Columns count from 0; views live until the next step or reset.
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] double real(int column) const;  // NULL is NaN
  [[nodiscard]] std::string_view text(int column) const;
  [[nodiscard]] std::string_view blob(int column) const;
  // Binds the columns of the current row of `row`, from column `first` on, to the parameters 1, 2, ..
  Statement& bind_row(const Statement& row, int first);

 private:
  friend class Connection;
  void close();
  void swap(Statement& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(statement_, other.statement_);
    std::swap(kept_as_, other.kept_as_);
  }
  database_detail::Handle* handle_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
  const char* kept_as_ = nullptr;  // key in Handle::kept; null: the statement is finalized when it is closed
};

// Reads parts of a blob in place: only the pages that hold the requested bytes are read. One Blob opens one row after
// another, which is faster than a new one for each.
class Blob {
 public:
  Blob() = default;
  ~Blob() { close(); }
  Blob(const Blob&) = delete;
  Blob& operator=(const Blob&) = delete;

  // Opens column `d` of a row. False: there is no such row; finding that out takes ten times as long as opening one.
  [[nodiscard]] Result<bool> open(const Connection& connection, const char* table, std::int64_t row);
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool read(std::size_t offset, std::span<char> out) const;
  void close();

 private:
  sqlite3_blob* blob_ = nullptr;
};

class Connection {
 public:
  // read_only: also beside a running writer. immutable: without locks and WAL, for a file in a directory in which this
  // process cannot create the WAL index.
  enum class Mode : std::uint8_t { read_write, read_only, immutable };
  [[nodiscard]] static Result<Connection> open(const std::filesystem::path& path, Mode mode);
  // Reads the first bytes of any file into `out` and returns how many it read. It reads through SQLite, because closing
  // a descriptor of its own would release the POSIX locks that this process holds on the file
  // (sqlite.org/howtocorrupt.html, section 2.2); another process that closes the file would then delete the WAL.
  [[nodiscard]] static Result<std::size_t> peek(const std::filesystem::path& path, std::span<unsigned char> out);

  [[nodiscard]] Result<void> run(const std::string& sql);            // one or several statements; rows are dropped
  [[nodiscard]] Result<std::int64_t> integer(std::string_view sql);  // first column of the first row; 0 without a row
  [[nodiscard]] Result<std::string> text(std::string_view sql);
  [[nodiscard]] Result<Statement> prepare(std::string_view sql);
  // A prepared statement that is reused: when it is destroyed, the connection keeps it for the next call. `sql` must be
  // a string literal; its address is the key.
  [[nodiscard]] Result<Statement> keep(const char* sql);
  [[nodiscard]] static Result<std::int64_t> integer(Result<Statement> statement);
  [[nodiscard]] static Result<std::int64_t> integer(Result<Statement> statement, std::int64_t bound);  // to ?1
  // Checks the whole file: "ok", or the first defect. A page that cannot be read because of an I/O error is returned as
  // an error, not as a defect, so that the file is not set aside for it.
  [[nodiscard]] Result<std::string> quick_check();

  // BEGIN, `body`, COMMIT. On an error of any of them it rolls back and returns that error. immediate: BEGIN takes the
  // write lock. deferred: the body's first statement takes it, so that the body can first set the page size and similar
  // settings of a new file.
  enum class Begin : std::uint8_t { immediate, deferred };
  template <class Body>
  [[nodiscard]] Result<void> transaction(const Body& body, Begin begin = Begin::immediate) {
    if (auto begun = run_kept(begin == Begin::immediate ? "BEGIN IMMEDIATE" : "BEGIN"); !begun) return begun;
    Result<void> done = body();
    if (done) done = run_kept("COMMIT");
    if (!done) roll_back();
    return done;
  }

  [[nodiscard]] std::int64_t last_id() const;
  [[nodiscard]] std::int64_t changes() const;                        // rows changed by the last statement
  [[nodiscard]] Cause cause() const { return handle_->cause; }       // of the last failure
  [[nodiscard]] bool is_open() const { return handle_ != nullptr; }  // false once moved from
  [[nodiscard]] bool writable() const;

  // For place() and changed_by_others(): remembers the files as they are now. To be called when the database was opened
  // and read once, so that its WAL and the index exist. Checkpoints of this connection are remembered by themselves.
  void remember_files();
  // Whether the path still leads to the open files: what is written to others is lost at the next start. Three stat
  // calls.
  [[nodiscard]] Place place() const;
  // What other programs did to the database since remember_files(). Reads its first page and attributes.
  [[nodiscard]] Change changed_by_others() const;

  // After a commit that leaves this many pages in the WAL, they are written to the database (a passive checkpoint).
  void checkpoint_at(std::int64_t pages);
  // passive: as far as readers allow. truncate: waits for them as for a lock, and empties the WAL. True: everything is
  // in the database.
  enum class Checkpoint : std::uint8_t { passive, truncate };
  [[nodiscard]] Result<bool> checkpoint(Checkpoint mode);
  [[nodiscard]] const LogState& log() const { return handle_->log; }
  // Closing will neither checkpoint nor delete the WAL, so that a damaged file is set aside unchanged.
  void leave_as_is();
  // Closing will leave the WAL and its index in place, so that their space is allocated when the disk is full at start.
  void keep_wal();

 private:
  friend class Blob;
  [[nodiscard]] Result<void> run_kept(const char* sql);
  void roll_back();
  std::unique_ptr<database_detail::Handle> handle_;
};

}  // namespace perjoule::storage
