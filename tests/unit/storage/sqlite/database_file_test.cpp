#include "storage/sqlite/database_file.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

namespace {

constexpr std::int64_t now_ms = 1795515072000;  // 2026-11-24T10:11:12Z

std::string stored(Connection& connection) {
  auto text = connection.text("SELECT value FROM meta WHERE name='mark'");
  REQUIRE(text);
  return *text;
}

void make_marked(const std::filesystem::path& path) {
  Notes notes;
  auto connection = open_database(path, history_format, now_ms, notes);
  REQUIRE(connection);
  REQUIRE(notes.empty());
  REQUIRE(connection->run("INSERT INTO meta VALUES('mark', 'ours')"));
}

// The file in place of history.db must be set aside with these bytes, and a new file must work.
void check_kept(const Scratch& scratch, const std::string& bytes, const std::string& why) {
  CAPTURE(why);
  Notes notes;
  auto connection = open_database(scratch / "history.db", history_format, now_ms, notes);
  REQUIRE(connection);
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].find(why) != std::string::npos);
  CHECK(notes[0].find("history.db.kept-2026-11-24T10-11-12Z") != std::string::npos);
  CHECK(count_kept(scratch.path()) == 1);
  CHECK(read_file(scratch / "history.db.kept-2026-11-24T10-11-12Z") == bytes);
  CHECK(*connection->integer("SELECT count(*) FROM tail") == 0);
}

}  // namespace

TEST_CASE("database file: a new file has our ids, page size and journal mode, and opens again without a note") {
  Scratch scratch;
  make_marked(scratch / "history.db");
  Notes notes;
  auto connection = open_database(scratch / "history.db", history_format, now_ms, notes);
  REQUIRE(connection);
  CHECK(notes.empty());
  CHECK(stored(*connection) == "ours");
  CHECK(*connection->integer("PRAGMA application_id") == history_format.application_id);
  CHECK(*connection->integer("PRAGMA user_version") == static_cast<std::int64_t>(history_format.migrations.size()));
  CHECK(*connection->integer("PRAGMA page_size") == 4096);
  CHECK(*connection->integer("PRAGMA synchronous") == 2);
  CHECK(*connection->integer("PRAGMA auto_vacuum") == 2);
  CHECK(*connection->integer("PRAGMA trusted_schema") == 0);
  CHECK(*connection->text("PRAGMA journal_mode") == "wal");
}

TEST_CASE("database file: a foreign file is set aside") {
  Scratch scratch;
  const auto path = scratch / "history.db";
  SUBCASE("not a database") {
    write_file(path, "not a database at all\n");
    check_kept(scratch, "not a database at all\n", "not an SQLite database");
  }
  SUBCASE("another application's database") {
    REQUIRE(Connection::open(path, Connection::Mode::read_write)->run("CREATE TABLE t(a); INSERT INTO t VALUES(7)"));
    const std::string bytes = read_file(path);
    check_kept(scratch, bytes, "not a perjoule history");
  }
  SUBCASE("our own other file") {
    Notes notes;
    { REQUIRE(open_database(path, ledger_format, now_ms, notes)); }
    check_kept(scratch, read_file(path), "not a perjoule history");
  }
  SUBCASE("a directory") {
    std::filesystem::create_directory(path);
    write_file(path / "inside", "precious");
    Notes notes;
    REQUIRE(open_database(path, history_format, now_ms, notes));
    CHECK(read_file(scratch / "history.db.kept-2026-11-24T10-11-12Z" / "inside") == "precious");
  }
  SUBCASE("a pipe") {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    Notes notes;
    REQUIRE(open_database(path, history_format, now_ms, notes));
    CHECK(std::filesystem::is_fifo(scratch / "history.db.kept-2026-11-24T10-11-12Z"));
  }
}

TEST_CASE("database file: an empty file becomes a database") {
  Scratch scratch;
  write_file(scratch / "history.db", "");
  Notes notes;
  REQUIRE(open_database(scratch / "history.db", history_format, now_ms, notes));
  CHECK(notes.empty());
  CHECK(count_kept(scratch.path()) == 0);
}

TEST_CASE("database file: an empty file beside a write-ahead log is set aside, with its log") {
  Scratch scratch;
  write_file(scratch / "history.db", "");
  write_file(scratch / "history.db-wal", "what was committed");
  check_kept(scratch, "", "empty beside a write-ahead log");
  CHECK(read_file(scratch / "history.db.kept-2026-11-24T10-11-12Z-wal") == "what was committed");
}

TEST_CASE("database file: a file truncated anywhere or overwritten in the middle is set aside") {
  Scratch whole;
  make_marked(whole / "history.db");
  const std::string bytes = read_file(whole / "history.db");
  REQUIRE(bytes.size() > 5 * 4096);
  for (std::size_t size : {std::size_t{1}, std::size_t{50}, std::size_t{100}, std::size_t{4095}, std::size_t{4096},
                           std::size_t{8192}, bytes.size() - 4096}) {
    CAPTURE(size);
    Scratch scratch;
    write_file(scratch / "history.db", bytes.substr(0, size));
    check_kept(scratch, bytes.substr(0, size), "it is ");
  }
  Scratch scratch;
  std::string damaged = bytes;
  for (std::size_t at = 4096; at < damaged.size(); ++at)
    damaged[at] = static_cast<char>(0x5a);
  write_file(scratch / "history.db", damaged);
  check_kept(scratch, damaged, "damaged");
}

TEST_CASE("database file: a file of a newer version is set aside, with its log") {
  Scratch scratch;
  const auto path = scratch / "history.db";
  make_marked(path);
  std::string bytes;
  std::string log;
  {
    auto newer = Connection::open(path, Connection::Mode::read_write);
    REQUIRE(newer);
    REQUIRE(newer->run("INSERT INTO meta VALUES('from', 'the future'); PRAGMA user_version=99"));
    newer->leave_as_is();
    bytes = read_file(path);
    log = read_file(path.string() + "-wal");
  }
  REQUIRE_FALSE(log.empty());
  check_kept(scratch, bytes, "newer version (format 99, this one knows 2)");
  CHECK(read_file(scratch / "history.db.kept-2026-11-24T10-11-12Z-wal") == log);
  auto kept = Connection::open(scratch / "history.db.kept-2026-11-24T10-11-12Z", Connection::Mode::read_write);
  REQUIRE(kept);
  CHECK(*kept->text("SELECT value FROM meta WHERE name='from'") == "the future");
}

TEST_CASE("database file: kept files never overwrite each other, and their number is limited") {
  Scratch scratch;
  for (int n = 0; n < 16; ++n) {
    write_file(scratch / "history.db", fmt::format("junk number {}", n));
    Notes notes;
    REQUIRE(open_database(scratch / "history.db", history_format, now_ms, notes));
    std::filesystem::remove(scratch / "history.db");
    std::filesystem::remove(scratch / "history.db-wal");
    std::filesystem::remove(scratch / "history.db-shm");
  }
  CHECK(read_file(scratch / "history.db.kept-2026-11-24T10-11-12Z") == "junk number 0");
  CHECK(read_file(scratch / "history.db.kept-2026-11-24T10-11-12Z-15") == "junk number 15");
  write_file(scratch / "history.db", "junk");
  Notes notes;
  auto refused = open_database(scratch / "history.db", history_format, now_ms, notes);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().remedy.find(".kept-*") != std::string::npos);
  CHECK(read_file(scratch / "history.db") == "junk");
}

TEST_CASE("database file: a migration is applied once, and keeps the data") {
  Scratch scratch;
  make_marked(scratch / "history.db");
  std::vector<std::string_view> migrations(history_format.migrations.begin(), history_format.migrations.end());
  migrations.push_back(
      "ALTER TABLE meta RENAME TO fact; CREATE VIEW meta AS SELECT name, value || '!' AS value FROM fact");
  Format next = history_format;
  next.migrations = migrations;
  for (int n = 0; n < 2; ++n) {
    Notes notes;
    auto connection = open_database(scratch / "history.db", next, now_ms, notes);
    REQUIRE(connection);
    CHECK(notes.empty());
    CHECK(stored(*connection) == "ours!");
    CHECK(*connection->integer("PRAGMA user_version") == static_cast<std::int64_t>(migrations.size()));
  }
  Notes notes;
  REQUIRE(open_database(scratch / "history.db", history_format, now_ms, notes));
  CHECK(notes.size() == 1);
}

TEST_CASE("database file: a failed migration leaves the file as it was") {
  Scratch scratch;
  make_marked(scratch / "history.db");
  std::vector<std::string_view> migrations(history_format.migrations.begin(), history_format.migrations.end());
  migrations.push_back("CREATE TABLE half(a); SELECT no_such_function()");
  Format next = history_format;
  next.migrations = migrations;
  Notes notes;
  REQUIRE_FALSE(open_database(scratch / "history.db", next, now_ms, notes));
  CHECK(count_kept(scratch.path()) == 0);
  auto connection = open_database(scratch / "history.db", history_format, now_ms, notes);
  REQUIRE(connection);
  CHECK(stored(*connection) == "ours");
  CHECK(*connection->integer("SELECT count(*) FROM sqlite_schema WHERE name='half'") == 0);
}

TEST_CASE("database: a link in place of the file is refused; the directory may be reached through one") {
  Scratch scratch;
  std::filesystem::create_directory(scratch / "real");
  std::filesystem::create_symlink(scratch / "real", scratch / "way");
  {
    auto made = Connection::open(scratch / "way" / "a.db", Connection::Mode::read_write);
    REQUIRE(made);
    REQUIRE(made->run("CREATE TABLE t(d)"));
  }
  std::filesystem::create_symlink(scratch / "real" / "a.db", scratch / "real" / "b.db");
  for (const auto mode : {Connection::Mode::read_write, Connection::Mode::read_only}) {
    const auto linked = Connection::open(scratch / "real" / "b.db", mode);
    REQUIRE_FALSE(linked);
    CHECK(linked.error().what.find("b.db: a symbolic link") != std::string::npos);
    CHECK_FALSE(linked.error().remedy.empty());
  }
}

TEST_CASE("database: its files have mode 0640 at most, those of an earlier release too") {
  Scratch scratch;
  const auto mode_of = [&](const char* name) {
    struct stat status {};
    REQUIRE(::stat((scratch / name).c_str(), &status) == 0);
    return status.st_mode & 0777U;
  };
  const mode_t before = ::umask(0);
  {
    auto made = Connection::open(scratch / "a.db", Connection::Mode::read_write);
    REQUIRE(made);
    REQUIRE(made->run("PRAGMA journal_mode = WAL; CREATE TABLE t(d)"));
    for (const char* name : {"a.db", "a.db-wal", "a.db-shm"})
      CHECK(mode_of(name) == 0640U);
  }
  ::umask(before);
  REQUIRE(::chmod((scratch / "a.db").c_str(), 0666) == 0);
  REQUIRE(Connection::open(scratch / "a.db", Connection::Mode::read_write));
  CHECK(mode_of("a.db") == 0640U);
}

TEST_CASE("database: errors have the right cause and fault") {
  Scratch scratch;
  const auto path = scratch / "history.db";
  make_marked(path);
  Notes notes;
  auto connection = open_database(path, history_format, now_ms, notes);
  REQUIRE(connection);
  auto other = open_database(path, history_format, now_ms, notes);
  REQUIRE(other);
  REQUIRE(other->run("BEGIN IMMEDIATE"));
  auto busy = connection->run("INSERT INTO meta VALUES('a', 1)");
  REQUIRE_FALSE(busy);
  CHECK(connection->cause() == Cause::busy);
  CHECK(busy.error().fault == Fault::transient);
  CHECK(busy.error().what.find(path.string()) != std::string::npos);
  REQUIRE(other->run("ROLLBACK"));

  auto reader = open_database_read_only(path, history_format);
  REQUIRE(reader);
  CHECK_FALSE(reader->run("DELETE FROM meta"));
  CHECK(reader->cause() == Cause::read_only);
  auto missing = open_database_read_only(scratch / "nowhere" / "history.db", history_format);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().fault == Fault::absent);
  CHECK(missing.error().what.find("no such file") != std::string::npos);

  CHECK(connection->place() == Place::intact);
  std::filesystem::rename(path, scratch / "elsewhere");
  CHECK(connection->place() == Place::lost);
}

TEST_CASE("database: a kept statement is clean at each use, and holds no lock while it is not in use") {
  Scratch scratch;
  make_marked(scratch / "history.db");
  Notes notes;
  auto connection = open_database(scratch / "history.db", history_format, now_ms, notes);
  REQUIRE(connection);
  constexpr const char* sql = "SELECT value FROM meta WHERE name = ?1";
  {
    auto statement = connection->keep(sql);
    REQUIRE(statement);
    REQUIRE(*statement->bind(1, std::string_view("mark")).step());  // not run to its end
    auto other = connection->keep(sql);                             // while the first is in use
    REQUIRE(other);
    CHECK_FALSE(*other->step());  // nothing is bound
    REQUIRE(*other->bind(1, std::string_view("mark")).step());
  }
  auto again = connection->keep(sql);
  REQUIRE(again);
  CHECK_FALSE(*again->step());
  auto moved = std::move(*again);
  REQUIRE(*moved.bind(1, std::string_view("mark")).step());
  CHECK(moved.text(0) == "ours");
  moved.reset();
  REQUIRE(connection->run("PRAGMA wal_checkpoint(TRUNCATE)"));
  CHECK(std::filesystem::file_size(scratch / "history.db-wal") == 0);
  CHECK_FALSE(connection->keep("SELECT nonsense"));
}

// Without the lock, another process that closes the file would delete the writer's WAL with all its commits.
TEST_CASE("database file: reading it in the same process does not release the writer's lock") {
  Scratch scratch;
  const auto path = scratch / "history.db";
  Notes notes;
  auto writer = open_database(path, history_format, now_ms, notes);
  REQUIRE(writer);
  REQUIRE(writer->run("INSERT INTO meta VALUES('mark', 'ours')"));
  const auto locked = [&path] {
    const ::pid_t child = ::fork();
    if (child == 0) {
      const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
      struct ::flock lock {};
      lock.l_type = F_WRLCK;
      lock.l_start = 0x40000002;  // SHARED_FIRST and SHARED_SIZE of SQLite's os.h
      lock.l_len = 510;
      const bool held = ::fcntl(file, F_GETLK, &lock) == 0 && lock.l_type == F_RDLCK;
      ::_exit(held ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  };
  CHECK(locked());
  for (int n = 0; n < 2; ++n) {
    auto reader = open_database_read_only(path, history_format);
    REQUIRE(reader);
    CHECK(stored(*reader) == "ours");
    CHECK(locked());
  }
  CHECK(locked());
  CHECK(open_database(path, history_format, now_ms, notes));
  CHECK(locked());
}

TEST_CASE("database file: on a read-only disk it can be read, and opening it to write is an error that says so") {
  SmallDisk disk("2m");
  if (!disk) return;
  make_marked(disk / "history.db");
  REQUIRE(disk.read_only(true));
  Notes notes;
  auto writable = open_database(disk / "history.db", history_format, now_ms, notes);
  REQUIRE_FALSE(writable);
  CHECK(writable.error().fault == Fault::denied);
  CHECK_FALSE(writable.error().remedy.empty());
  auto reader = open_database_read_only(disk / "history.db", history_format);
  REQUIRE(reader);
  CHECK(stored(*reader) == "ours");
  REQUIRE(disk.read_only(false));
  CHECK(open_database(disk / "history.db", history_format, now_ms, notes));
  CHECK(notes.empty());
}

}  // namespace perjoule::storage
