#include "storage/sqlite/database.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <system_error>

#include "storage/sqlite/file_mode.hpp"

namespace perjoule::storage {

namespace {

constexpr int busy_timeout_ms = 250;  // how long to wait for a lock of another process, such as the sqlite3 shell

Cause cause_of(int code) {
  switch (code & 0xff) {
    case SQLITE_OK:
      return Cause::none;
    case SQLITE_FULL:
      return Cause::full;
    case SQLITE_IOERR:
      return Cause::io;
    case SQLITE_READONLY:
      return Cause::read_only;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Cause::corrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Cause::busy;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return Cause::cannot_open;
    default:
      return Cause::other;
  }
}

Error error_of(Cause cause, std::string what) {
  switch (cause) {
    case Cause::full:
      return {Fault::transient, std::move(what), "free space on that file system"};
    case Cause::read_only:
      return {Fault::broken, std::move(what), "make the file, its directory and the file system writable"};
    case Cause::cannot_open:
      return {Fault::denied, std::move(what), "make the directory writable for the daemon's user"};
    case Cause::corrupt:
      return {Fault::broken, std::move(what)};
    default:
      return {Fault::transient, std::move(what)};
  }
}

// `path` with the links of its directory resolved; unchanged where the directory does not exist.
std::filesystem::path without_links(const std::filesystem::path& path) {
  std::error_code error;
  const auto directory = std::filesystem::canonical(path.has_parent_path() ? path.parent_path() : ".", error);
  return error ? path : directory / path.filename();
}

// `path` as a file: URI, percent-encoded. SQLite accepts `immutable` only in a URI.
std::string immutable_uri(std::string_view path) {
  std::string uri = "file:";
  for (char c : path) {
    if (c == '%' || c == '?' || c == '#') {
      uri += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    } else {
      uri += c;
    }
  }
  return uri + "?immutable=1";
}

}  // namespace

namespace database_detail {

Handle::~Handle() {
  for (const auto& [sql, statement] : kept)
    sqlite3_finalize(statement);
  sqlite3_close_v2(database);
}

Error Handle::fail(int code) {
  cause = cause_of(code);
  const char* message = database != nullptr ? sqlite3_errmsg(database) : sqlite3_errstr(code);
  return error_of(cause, fmt::format("{}: {} (SQLite {})", path, message, code));
}

}  // namespace database_detail

void Statement::close() {
  if (kept_as_ != nullptr) {
    reset();
    if (handle_->kept.emplace(kept_as_, statement_).second) statement_ = nullptr;
    kept_as_ = nullptr;
  }
  sqlite3_finalize(statement_);
  statement_ = nullptr;
}

// The results of binding are not checked: it fails only on a wrong index or without memory, and then step() fails, too,
// for example on a NOT NULL constraint.
Statement& Statement::bind(int index, std::int64_t value) {
  sqlite3_bind_int64(statement_, index, value);
  return *this;
}

Statement& Statement::bind(int index, double value) {
  sqlite3_bind_double(statement_, index, value);
  return *this;
}

Statement& Statement::bind(int index, std::string_view text) {
  sqlite3_bind_text64(statement_, index, text.data() == nullptr ? "" : text.data(), text.size(), SQLITE_STATIC,
                      SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind_blob(int index, std::string_view bytes) {
  sqlite3_bind_blob64(statement_, index, bytes.data() == nullptr ? "" : bytes.data(), bytes.size(), SQLITE_STATIC);
  return *this;
}

Statement& Statement::bind_row(const Statement& row, int first) {
  for (int column = first; column < sqlite3_column_count(row.statement_); ++column)
    sqlite3_bind_value(statement_, column - first + 1, sqlite3_column_value(row.statement_, column));
  return *this;
}

Result<bool> Statement::step() {
  int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    reset();
    return false;
  }
  Error error = handle_->fail(code);
  reset();
  return error;
}

Result<void> Statement::run() {
  for (;;) {
    auto row = step();
    if (!row) return row.error();
    if (!*row) return {};
  }
}

void Statement::reset() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

double Statement::real(int column) const {
  if (sqlite3_column_type(statement_, column) == SQLITE_NULL) return std::numeric_limits<double>::quiet_NaN();
  return sqlite3_column_double(statement_, column);
}

std::string_view Statement::text(int column) const {
  const auto* bytes = sqlite3_column_text(statement_, column);
  if (bytes == nullptr) return {};
  return {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::string_view Statement::blob(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  if (bytes == nullptr) return {};
  return {static_cast<const char*>(bytes), static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

Result<bool> Blob::open(const Connection& connection, const char* table, std::int64_t row) {
  if (blob_ != nullptr && sqlite3_blob_reopen(blob_, row) == SQLITE_OK) return true;
  close();
  const int code = sqlite3_blob_open(connection.handle_->database, "main", table, "d", row, 0, &blob_);
  if (code == SQLITE_OK) return true;
  // SQLite returns the same code for a missing table, but our files have all tables.
  if (code == SQLITE_ERROR) {
    close();
    return false;
  }
  Error error = connection.handle_->fail(code);
  close();
  return error;
}

std::size_t Blob::size() const {
  return static_cast<std::size_t>(sqlite3_blob_bytes(blob_));
}

bool Blob::read(std::size_t offset, std::span<char> out) const {
  return sqlite3_blob_read(blob_, out.data(), static_cast<int>(out.size()), static_cast<int>(offset)) == SQLITE_OK;
}

void Blob::close() {
  sqlite3_blob_close(blob_);
  blob_ = nullptr;
}

Result<Connection> Connection::open(const std::filesystem::path& path, Mode mode) {
  Connection connection;
  connection.handle_ = std::make_unique<database_detail::Handle>();
  auto& handle = *connection.handle_;
  handle.path = path.string();
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  flags |= mode == Mode::read_write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
  if (mode == Mode::immutable) flags |= SQLITE_OPEN_URI;
  // NOFOLLOW refuses a link anywhere in the path, but the directory may be reached through one.
  flags |= SQLITE_OPEN_NOFOLLOW;
  const std::string direct = without_links(path).string();
  const std::string name = mode == Mode::immutable ? immutable_uri(direct) : direct;
  int code = sqlite3_open_v2(name.c_str(), &handle.database, flags, nullptr);
  if (code == SQLITE_CANTOPEN_SYMLINK)
    return Error{Fault::denied, handle.path + ": a symbolic link, which could lead to a file of another user",
                 "put the file itself there, or choose another --storage.path"};
  if (code != SQLITE_OK) return handle.fail(code);
  if (mode == Mode::read_write) narrow(direct);
  sqlite3_busy_timeout(handle.database, busy_timeout_ms);
  sqlite3_db_config(handle.database, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle.database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return connection;
}

Result<std::size_t> Connection::peek(const std::filesystem::path& path, std::span<unsigned char> out) {
  auto connection = open(path, Mode::read_only);
  if (!connection) return connection.error();
  auto& handle = *connection->handle_;
  sqlite3_file* file = nullptr;
  sqlite3_int64 size = 0;
  sqlite3_file_control(handle.database, "main", SQLITE_FCNTL_FILE_POINTER, static_cast<void*>(&file));
  int code = file->pMethods->xFileSize(file, &size);
  const auto count = std::min(out.size(), static_cast<std::size_t>(size));
  if (code == SQLITE_OK && count > 0) code = file->pMethods->xRead(file, out.data(), static_cast<int>(count), 0);
  if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) {
    handle.cause = cause_of(code);
    return error_of(handle.cause, fmt::format("{}: {} (SQLite {})", handle.path, sqlite3_errstr(code), code));
  }
  return count;
}

Result<void> Connection::run(const std::string& sql) {
  int code = sqlite3_exec(handle_->database, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return handle_->fail(code);
  return {};
}

Result<std::int64_t> Connection::integer(std::string_view sql) {
  return integer(prepare(sql));
}

Result<std::int64_t> Connection::integer(Result<Statement> statement) {
  if (!statement) return statement.error();
  auto row = statement->step();
  if (!row) return row.error();
  return *row ? statement->integer(0) : 0;
}

Result<std::int64_t> Connection::integer(Result<Statement> statement, std::int64_t bound) {
  if (statement) statement->bind(1, bound);
  return integer(std::move(statement));
}

Result<std::string> Connection::text(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return statement.error();
  auto row = statement->step();
  if (!row) return row.error();
  return *row ? std::string(statement->text(0)) : std::string();
}

Result<Statement> Connection::prepare(std::string_view sql) {
  Statement statement;
  statement.handle_ = handle_.get();
  int code =
      sqlite3_prepare_v2(handle_->database, sql.data(), static_cast<int>(sql.size()), &statement.statement_, nullptr);
  if (code != SQLITE_OK) return handle_->fail(code);
  return statement;
}

Result<Statement> Connection::keep(const char* sql) {
  const auto found = handle_->kept.find(sql);
  if (found == handle_->kept.end()) {
    auto statement = prepare(sql);
    if (statement) statement->kept_as_ = sql;
    return statement;
  }
  Statement statement;
  statement.handle_ = handle_.get();
  statement.statement_ = found->second;
  statement.kept_as_ = sql;
  handle_->kept.erase(found);
  return statement;
}

Result<void> Connection::run_kept(const char* sql) {
  auto statement = keep(sql);
  return statement ? statement->run() : statement.error();
}

// quick_check reports an unreadable page as corruption: with an error code, as "failed to get page", or as "Failed to
// read ptrmap", which may also be a damaged ptrmap page. For the last, we test whether the disk still reads page 1 and
// check again: an I/O error shows itself in one of these reads, real damage is reported each time.
Result<std::string> Connection::quick_check() {
  constexpr std::string_view marker = "error code=";
  constexpr int checks = 4;
  Result<std::string> report = std::string();
  for (int check = 0; check < checks; ++check) {
    report = text("PRAGMA quick_check(1)");
    if (!report || *report == "ok") return report;
    int code = SQLITE_OK;
    if (const auto at = report->find(marker); at != std::string::npos) {
      std::from_chars(report->data() + at + marker.size(), report->data() + report->size(), code);
    }
    if (report->find("failed to get page") != std::string::npos) code = SQLITE_IOERR_READ;
    if (code != SQLITE_OK && cause_of(code) != Cause::corrupt) {
      handle_->cause = cause_of(code);
      return Error{Fault::transient, fmt::format("{}: cannot read all pages (I/O error): {}", handle_->path, *report),
                   "check the kernel log for disk errors (journalctl -k); move the file away to start a new one"};
    }
    if (report->find("Failed to read ptrmap") == std::string::npos) return report;
    sqlite3_db_release_memory(handle_->database);
    if (auto page_1 = integer("PRAGMA user_version"); !page_1) return page_1.error();
  }
  return report;
}

std::int64_t Connection::last_id() const {
  return sqlite3_last_insert_rowid(handle_->database);
}

std::int64_t Connection::changes() const {
  return sqlite3_changes64(handle_->database);
}

bool Connection::writable() const {
  return sqlite3_db_readonly(handle_->database, "main") == 0;
}

void Connection::leave_as_is() {
  sqlite3_db_config(handle_->database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

void Connection::keep_wal() {
  int keep = 1;
  sqlite3_file_control(handle_->database, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
}

// After some errors (full disk, failed I/O) SQLite has rolled back already. Errors of ROLLBACK are ignored, so that
// cause() stays that of the first error.
void Connection::roll_back() {
  if (sqlite3_get_autocommit(handle_->database) == 0) {
    sqlite3_exec(handle_->database, "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

}  // namespace perjoule::storage
