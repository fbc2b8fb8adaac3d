// Files that others move, replace or damage under an open writer. What a kill would leave is a copy of the directory.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <random>

#include "storage/directory.hpp"
#include "storage/history/history_reader.hpp"
#include "storage/history/sqlite_store.hpp"
#include "storage/writer.hpp"
#include "tests/unit/storage/history/history.hpp"
#include "tests/unit/storage/loop.hpp"
#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

namespace {

namespace fs = std::filesystem;
constexpr std::int64_t now_ms = 1795515072000;

fs::path beside(const fs::path& path, std::string_view suffix) {
  return path.string() + std::string(suffix);
}

struct Bench {
  Bench() {
    fs::create_directory(store);
    LedgerRows loaded;
    loaded.totals.push_back({"of an earlier run", 77});
    loaded.states.push_back({"inventory/0", "GPU-0"});
    WriterFiles files = files_in(
        store, [] { return now_ms; }, [](const std::string&) {});
    files.reading = reading;
    writer.emplace(std::move(files), nullptr, std::move(loaded), WriterLimits{}, loop.post());
  }

  Report commit(bool with_history = true) {
    if (with_history) {
      const Frame frame = history.next_frame(5);
      history.expect(frame);
      for (const auto& series : frame.series)
        writer->describe(series);
      for (const auto& group : frame.groups)
        writer->describe(group);
      for (const auto& tick : frame.ticks)
        writer->push(tick);
    }
    Report report;
    LedgerRows rows;
    rows.totals.push_back({"total", ++total});
    writer->commit(static_cast<std::uint64_t>(total), std::move(rows), with_history,
                   [&](Report each) { report = std::move(each); });
    loop.run_one();
    return report;
  }
  void run(int commits) {
    for (int n = 0; n < commits; ++n) {
      const Report report = commit();
      REQUIRE_MESSAGE(report.error == "", report.error);
      REQUIRE(report.notes.empty());
    }
  }
  // As after kill -9. `alike`: whether the history has every sample, or else only such samples as were stored.
  void check_what_a_kill_leaves(bool alike = true) {
    const fs::path copy = scratch / "copy";
    fs::remove_all(copy);
    fs::copy(store, copy, fs::copy_options::recursive);
    Notes notes;
    auto ledger = LedgerFile::open(copy / "ledger.db", now_ms, notes);
    REQUIRE(ledger);
    std::map<std::string, std::int64_t> totals;
    const auto rows = ledger->load();
    REQUIRE(rows);
    for (const TotalRow& row : rows->totals)
      totals[row.key] = row.millionths;
    CHECK(totals == std::map<std::string, std::int64_t>{{"total", total}, {"of an earlier run", 77}});
    CHECK(rows->states.size() == 1);
    auto stored = SqliteStore::open(copy / "history.db", now_ms, notes);
    REQUIRE(stored);
    CHECK_MESSAGE(notes.empty(), notes.front());
    const Cells found = read_all(**stored);
    if (alike) CHECK(found == history.cells());
    for (const auto& [name, points] : found) {
      for (const auto& [stamp, bits] : points)
        CHECK(history.cells().at(name).at(stamp) == bits);
    }
    kept = count_points(found);
  }

  Scratch scratch;
  fs::path store = scratch / "store";
  std::shared_ptr<Reading> reading = std::make_shared<Reading>();
  Loop loop;
  RandomHistory history{11};
  std::int64_t total = 0;
  std::size_t kept = 0;
  std::optional<Writer> writer;
};

struct Case {
  const char* what;
  std::function<void(const fs::path& database)> fault;
};

void overwrite(const fs::path& path, std::int64_t offset, std::int64_t bytes) {
  std::mt19937_64 random(3);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(offset);
  for (std::int64_t n = 0; n < bytes; ++n)
    file.put(static_cast<char>(random() % 256));
}

void replace(const fs::path& path) {
  fs::rename(path, beside(path, ".away"));
  write_file(path, std::string(20'000, 'x'));
}

// A copy from before, as a backup program puts it back: its content is valid, and old.
void put_back(Bench& bench, const fs::path& path) {
  fs::copy_file(path, bench.scratch / "old");
  bench.run(2);
  fs::remove(path);
  fs::rename(bench.scratch / "old", path);
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"-wal deleted", [](const fs::path& path) { fs::remove(beside(path, "-wal")); }},
      {"-shm deleted", [](const fs::path& path) { fs::remove(beside(path, "-shm")); }},
      {"both deleted",
       [](const fs::path& path) {
         fs::remove(beside(path, "-wal"));
         fs::remove(beside(path, "-shm"));
       }},
      {"-wal replaced", [](const fs::path& path) { replace(beside(path, "-wal")); }},
      {"-shm replaced", [](const fs::path& path) { replace(beside(path, "-shm")); }},
      {"database moved", [](const fs::path& path) { fs::rename(path, beside(path, ".away")); }},
      {"database replaced", [](const fs::path& path) { replace(path); }},
      {"all moved",
       [](const fs::path& path) {
         for (const char* suffix : {"", "-wal", "-shm"})
           fs::rename(beside(path, suffix), beside(path, ".away" + std::string(suffix)));
       }},
      {"garbage over the header", [](const fs::path& path) { overwrite(path, 0, 100); }},
      {"garbage over the first page", [](const fs::path& path) { overwrite(path, 0, 4096); }},
      {"garbage behind it", [](const fs::path& path) { overwrite(path, 4096, 60'000); }},
      {"cut", [](const fs::path& path) { fs::resize_file(path, 5000); }},
  };
  return all;
}

}  // namespace

TEST_CASE("recovery: what was committed is in place after the next commit, whatever was done to the files of either") {
  for (const char* name : {"ledger.db", "history.db"}) {
    for (const Case& each : cases()) {
      CAPTURE(std::string(name));
      CAPTURE(std::string(each.what));
      Bench bench;
      bench.run(30);
      each.fault(bench.store / name);
      const Report report = bench.commit(false);
      CHECK_MESSAGE(report.error == "", report.error);
      REQUIRE(report.notes.size() == 1);
      CHECK(report.notes[0].find(name) != std::string::npos);
      CAPTURE(report.notes[0]);
      CHECK(report.ledger_recoveries == (std::string(name) == "ledger.db" ? 1 : 0));
      CHECK(report.history_recoveries == (std::string(name) == "history.db" ? 1 : 0));
      bench.check_what_a_kill_leaves();
      bench.run(5);
      bench.check_what_a_kill_leaves();
    }
  }
}

TEST_CASE("recovery: an old copy of a database or of its -wal that is put back") {
  for (const char* name : {"ledger.db", "history.db", "ledger.db-wal", "history.db-wal"}) {
    CAPTURE(std::string(name));
    Bench bench;
    bench.run(10);
    put_back(bench, bench.store / name);
    const Report report = bench.commit(false);
    CHECK_MESSAGE(report.error == "", report.error);
    CHECK(report.notes.size() == 1);
    bench.check_what_a_kill_leaves();
    bench.run(3);
    bench.check_what_a_kill_leaves();
  }
}

TEST_CASE("recovery: the directory is moved, or replaced by a copy") {
  for (const bool replaced : {false, true}) {
    CAPTURE(replaced);
    Bench bench;
    bench.run(10);
    if (replaced) fs::copy(bench.store, bench.scratch / "new", fs::copy_options::recursive);
    fs::rename(bench.store, bench.scratch / "moved");
    if (replaced) fs::rename(bench.scratch / "new", bench.store);
    const Report report = bench.commit(false);
    CHECK_MESSAGE(report.error == "", report.error);
    CHECK(report.ledger_recoveries == 1);
    CHECK(report.history_recoveries == 1);
    CHECK(Directory::holder(bench.store) == ::getpid());
    bench.check_what_a_kill_leaves();
    bench.run(3);
    bench.check_what_a_kill_leaves();
  }
}

TEST_CASE("recovery: a large history with garbage over a part of it keeps what is on the other pages") {
  Bench bench;
  bench.run(1500);  // sealed slots and several checkpoints
  const std::size_t all = count_points(bench.history.cells());
  const auto bytes = static_cast<std::int64_t>(fs::file_size(bench.store / "history.db"));
  REQUIRE(bytes > 400'000);
  for (int part = 1; part < 8; ++part)
    overwrite(bench.store / "history.db", bytes * part / 8, 9000);
  const Report report = bench.commit(false);
  CHECK(report.error == "");
  REQUIRE(report.notes.size() == 1);
  CHECK(count_kept(bench.store) == 1);
  bench.check_what_a_kill_leaves(false);
  CHECK(static_cast<double>(bench.kept) > 0.5 * static_cast<double>(all));
  CHECK(bench.kept < all);
  REQUIRE(bench.commit().error == "");
}

TEST_CASE("recovery: more kept files than 16 do not stop storing") {
  Bench bench;
  for (int n = 0; n < 20; ++n) {
    bench.run(2);
    overwrite(bench.store / "ledger.db", 0, 4096);
    const Report report = bench.commit(false);
    CHECK_MESSAGE(report.error == "", report.error);
  }
  CHECK(count_kept(bench.store) == 16);
  bench.check_what_a_kill_leaves();
}

TEST_CASE("recovery: a query that could not read makes the writer read the whole file") {
  Bench bench;
  bench.run(30);
  bench.reading->suspect = true;
  Report report = bench.commit(false);
  CHECK(report.error == "");
  CHECK(report.notes.empty());
  CHECK_FALSE(bench.reading->suspect);
}

TEST_CASE("recovery: while a query runs the database is completed, and opened again when the query has ended") {
  Bench bench;
  bench.run(10);
  fs::remove(bench.store / "history.db-wal");
  {
    const std::lock_guard query(bench.reading->mutex);
    const Report report = bench.commit();
    CHECK(report.ledger_committed);
    CHECK_FALSE(report.history_committed);
    CHECK(report.history_failed);
    CHECK(report.error.find("query") != std::string::npos);
    CHECK(report.history_recoveries == 0);
  }
  const Report report = bench.commit();
  CHECK(report.error == "");
  CHECK(report.history_recoveries == 1);
  bench.check_what_a_kill_leaves();
}

TEST_CASE("recovery: a connection of this process's queries does not keep a deleted WAL in use") {
  Bench bench;
  bench.run(10);
  auto opened = open_history(bench.store / "history.db");
  REQUIRE(opened);
  bench.reading->connection = std::make_unique<Connection>(std::move(*opened));
  REQUIRE(bench.reading->connection->integer("SELECT count(*) FROM tail"));
  fs::remove(bench.store / "history.db-wal");
  fs::remove(bench.store / "history.db-shm");
  CHECK(bench.reading->connection->place() == Place::logs_lost);
  CHECK(bench.commit().error == "");
  CHECK(bench.reading->connection == nullptr);
  CHECK(fs::exists(bench.store / "history.db-wal"));
  bench.check_what_a_kill_leaves();
}

TEST_CASE("recovery: a reader of the ledger is named, and its WAL is bounded") {
  Bench bench;
  bench.run(2);
  auto reader = Connection::open(bench.store / "ledger.db", Connection::Mode::read_only);
  REQUIRE(reader);
  REQUIRE(reader->run("BEGIN"));
  REQUIRE(reader->integer("SELECT count(*) FROM total"));
  std::vector<std::string> notes;
  std::uint64_t starved = 0;
  std::uintmax_t peak = 0;
  for (int n = 0; n < 3000; ++n) {
    const Report report = bench.commit(false);
    REQUIRE(report.error == "");
    notes.insert(notes.end(), report.notes.begin(), report.notes.end());
    starved += report.starved_checkpoints;
    peak = std::max(peak, fs::file_size(bench.store / "ledger.db-wal"));
  }
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].find(fmt::format("pid {}", ::getpid())) != std::string::npos);
  CHECK(starved == 1);
  CHECK(peak < (9 << 20));
  bench.check_what_a_kill_leaves();
}

TEST_CASE("recovery: a file that another program changes without damage is kept, and the ledger gets every row") {
  Bench bench;
  bench.run(10);
  {
    Notes notes;
    auto other = Connection::open(bench.store / "ledger.db", Connection::Mode::read_write);
    REQUIRE(other);
    REQUIRE(other->run("UPDATE total SET millionths = 1000000; PRAGMA wal_checkpoint(TRUNCATE)"));
    other->leave_as_is();
  }
  const Report report = bench.commit();
  CHECK(report.error == "");
  REQUIRE(report.notes.size() == 1);
  CHECK(report.notes[0].find("every row is written again") != std::string::npos);
  CHECK(count_kept(bench.store) == 0);
  bench.check_what_a_kill_leaves();
  bench.run(10);
}

}  // namespace perjoule::storage
