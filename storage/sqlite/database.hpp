// RAII over SQLite: one connection, its statements, its errors. The only home of sqlite3.h.
//
// A connection and its statements belong to one thread at a time (SQLite's own mutexes are off). A statement must not
// outlive its connection. Faults: broken = the file is corrupt, gone, moved or may not be written, so close it and open
// anew; denied = it may not be opened; transient = full disk, failed I/O, lock: the same call may succeed later.
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

struct sqlite3;
struct sqlite3_blob;
struct sqlite3_stmt;

namespace perjoule::storage {

enum class Cause : std::uint8_t { none, full, io, read_only, corrupt, busy, cannot_open, other };

namespace database_detail {
struct Handle {
  sqlite3* database = nullptr;
  std::string path;
  Cause cause = Cause::none;
  std::map<const char*, sqlite3_stmt*> kept;  // those that nobody uses, by their text
  Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle();
  Error fail(int code);
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

  // Parameters count from 1. The bytes of a text or blob must live until the next reset.
  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, double value);  // NaN becomes NULL
  Statement& bind(int index, std::string_view text);
  Statement& bind_blob(int index, std::string_view bytes);

  // True: a row stands ready. False: done; the statement is reset, its bindings are cleared.
  [[nodiscard]] Result<bool> step();
  // Runs a statement that gives no rows.
  [[nodiscard]] Result<void> run();
  void reset();

  // Columns count from 0; views live until the next step or reset.
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] double real(int column) const;  // NULL is NaN
  [[nodiscard]] std::string_view text(int column) const;
  [[nodiscard]] std::string_view blob(int column) const;

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
  const char* kept_as_ = nullptr;  // null: it is not kept
};

// Bytes of one blob after the other, read in place: only the pages that are asked for are touched.
class Blob {
 public:
  Blob() = default;
  ~Blob() { close(); }
  Blob(const Blob&) = delete;
  Blob& operator=(const Blob&) = delete;

  // Column d of a row; false: there is no such row, which takes ten times as long to find out as to open one.
  [[nodiscard]] Result<bool> open(const Connection& connection, const char* table, std::int64_t row);
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool read(std::size_t offset, std::span<char> out) const;
  void close();

 private:
  sqlite3_blob* blob_ = nullptr;
};

class Connection {
 public:
  // read_only: beside a running writer. immutable: no locks and no WAL, for a file in a directory that may not be
  // written.
  enum class Mode : std::uint8_t { read_write, read_only, immutable };
  [[nodiscard]] static Result<Connection> open(const std::filesystem::path& path, Mode mode);
  // Reads the first bytes of any file into `out`; returns how many there are. The locks that this process has on the
  // file would go with any other descriptor that it closes (sqlite.org/howtocorrupt.html, section 2.2), and without
  // them another process that closes the file deletes its write-ahead log.
  [[nodiscard]] static Result<std::size_t> peek(const std::filesystem::path& path, std::span<unsigned char> out);

  [[nodiscard]] Result<void> run(const std::string& sql);            // one or several statements; rows are dropped
  [[nodiscard]] Result<std::int64_t> integer(std::string_view sql);  // first column of the first row; 0 without a row
  [[nodiscard]] Result<std::string> text(std::string_view sql);
  [[nodiscard]] Result<Statement> prepare(std::string_view sql);
  // For what is asked again and again: the connection keeps the statement for the next call. `sql` is a literal, by
  // whose address it is found.
  [[nodiscard]] Result<Statement> keep(const char* sql);
  [[nodiscard]] static Result<std::int64_t> integer(Result<Statement> statement);
  [[nodiscard]] static Result<std::int64_t> integer(Result<Statement> statement, std::int64_t bound);  // to ?1
  // Looks through the whole file: "ok", or the first thing that is wrong with it. A page that the disk does not give is
  // an error, and says nothing about the file.
  [[nodiscard]] Result<std::string> quick_check();

  // BEGIN, `body`, COMMIT; on an error of either ROLLBACK, and the error is returned. deferred: the body's first
  // statement takes the lock, and settings of a file that does not exist yet can be part of the transaction.
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
  [[nodiscard]] std::int64_t changes() const;                        // rows that the last statement changed
  [[nodiscard]] Cause cause() const { return handle_->cause; }       // of the last failure
  [[nodiscard]] bool is_open() const { return handle_ != nullptr; }  // false once moved from
  [[nodiscard]] bool writable() const;
  // An error when the file is no longer where it was opened: what is written to it would be lost.
  [[nodiscard]] Result<void> in_place();
  // Closing then neither moves the WAL into the file nor deletes it.
  void leave_as_is();
  // Leaves the WAL and its index in place at close, so that a start on a full disk finds their space allocated.
  void keep_wal();

 private:
  friend class Blob;
  [[nodiscard]] Result<void> run_kept(const char* sql);
  void roll_back();
  std::unique_ptr<database_detail::Handle> handle_;
};

}  // namespace perjoule::storage
