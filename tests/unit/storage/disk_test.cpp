// Tests of the simulated disk: unless it loses, tears and reorders writes, a store that survives it proves nothing.
#include "tests/fakes/disk.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "tests/unit/storage/scratch.hpp"

namespace perjoule::fakes {

namespace {

using storage::read_file;
using storage::Scratch;
using storage::write_file;

// A plain SQLite connection that remembers its last result code.
class Raw {
 public:
  explicit Raw(const std::filesystem::path& path) { code = sqlite3_open(path.c_str(), &database_); }
  ~Raw() { sqlite3_close(database_); }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;
  bool run(const std::string& sql) {
    code = sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr);
    return code == SQLITE_OK;
  }
  std::string text(const std::string& sql) {
    std::string out;
    const auto take = [](void* to, int, char** columns, char**) {
      *static_cast<std::string*>(to) = columns[0] == nullptr ? "" : columns[0];
      return 0;
    };
    code = sqlite3_exec(database_, sql.c_str(), take, &out, nullptr);
    return code == SQLITE_OK ? out : fmt::format("error {}", code);
  }
  int code = SQLITE_OK;

 private:
  sqlite3* database_ = nullptr;
};

struct Wrecked {
  bool intact = false;
  int acknowledged = 0;
  int stored = -1;
};

// Commits rows of several pages until the power is cut at an operation.
int commit_until_cut(Disk& disk, const std::string& settings, std::uint64_t at) {
  int acknowledged = 0;
  Raw raw(disk / "raw.db");
  if (!raw.run(settings + "CREATE TABLE t(n INTEGER PRIMARY KEY, d BLOB); CREATE INDEX i ON t(d);")) return 0;
  disk.cut_at(disk.operations() + at);
  for (int n = 1; n <= 60 && !disk.is_cut(); ++n) {
    if (raw.run(fmt::format("INSERT INTO t VALUES({}, randomblob(9000))", n))) acknowledged = n;
  }
  return acknowledged;
}

std::map<Survival, std::vector<Wrecked>> wreck_often(const std::string& settings, std::uint64_t cuts) {
  std::map<Survival, std::vector<Wrecked>> out;
  for (std::uint64_t cut = 0; cut < cuts; ++cut) {
    Disk disk(Disk::Memory::remembering);
    const int acknowledged = commit_until_cut(disk, settings, 20 + cut * 23);
    for (const Survival survival : {Survival::none, Survival::half, Survival::prefix, Survival::all}) {
      disk.after_cut(cut, survival);
      Raw raw(disk / "raw.db");
      Wrecked wrecked;
      wrecked.intact = raw.text("PRAGMA integrity_check") == "ok";
      wrecked.acknowledged = acknowledged;
      if (wrecked.intact && raw.text("SELECT count(*) FROM sqlite_schema") != "0") {
        wrecked.stored = std::stoi(raw.text("SELECT count(*) FROM t"));
      }
      out[survival].push_back(wrecked);
    }
  }
  return out;
}

struct Tally {
  int corrupt = 0;
  int lost = 0;
};

Tally tally(const std::vector<Wrecked>& all) {
  Tally sum;
  for (const auto& each : all) {
    if (!each.intact) ++sum.corrupt;
    if (each.intact && each.stored < each.acknowledged) ++sum.lost;
  }
  return sum;
}

constexpr const char* wal = "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=20;";

// A write of three sectors at an offset, as the disk reports it to the model.
void write_sectors(Durability& model, const Durability::File& file, const std::string& path, std::size_t offset,
                   char letter) {
  std::string bytes = read_file(path);
  const std::string after(3 * 512, letter);
  const std::string before = offset < bytes.size() ? bytes.substr(offset, after.size()) : "";
  model.wrote(*file, static_cast<std::int64_t>(offset), static_cast<std::int64_t>(bytes.size()), before, after);
  if (bytes.size() < offset + after.size()) bytes.resize(offset + after.size());
  write_file(path, bytes.replace(offset, after.size(), after));
}

}  // namespace

TEST_CASE("disk: unsynced writes are lost, torn and reordered; synced ones stay") {
  Scratch scratch;
  const std::string path = scratch / "file";
  Durability model;
  const auto file = model.opened(path, false);
  write_file(path, "");
  write_sectors(model, file, path, 0, 'a');
  Durability::synced(*file);
  model.synced_directory();
  write_sectors(model, file, path, 0, 'b');
  write_sectors(model, file, path, 4 * 512, 'c');
  model.truncated(*file, 512, 7 * 512, read_file(path).substr(512));
  write_file(path, std::string(512, 'b'));
  write_sectors(model, file, path, 512, 'd');
  model.cut();
  CHECK(model.lost_at_most() == 4);

  model.rewrite(1, Survival::none);
  CHECK(read_file(path) == std::string(1536, 'a'));
  model.rewrite(1, Survival::all);
  CHECK(read_file(path) == std::string(512, 'b') + std::string(1536, 'd'));
  std::set<std::string> half;
  std::set<std::string> prefix;
  const auto letters = [&] {
    const std::string bytes = read_file(path);
    std::string out;
    for (std::size_t at = 0; at < bytes.size(); at += 512) {
      CHECK(bytes.substr(at, 512) == std::string(512, bytes[at]));  // a sector is never torn
      out += bytes[at] == '\0' ? '.' : bytes[at];
    }
    return out;
  };
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    model.rewrite(seed, Survival::half);
    half.insert(letters());
    model.rewrite(seed, Survival::prefix);
    prefix.insert(letters());
  }
  CHECK(half.contains("aaa"));      // all lost
  CHECK(half.contains("aaa.ccc"));  // the second write without the first
  CHECK(std::any_of(half.begin(), half.end(), [](const auto& each) { return each.starts_with("ba"); }));  // torn
  CHECK(half.contains("addd"));  // the last write without the earlier ones
  CHECK(half.contains("bddd"));
  CHECK(prefix.contains("aaa"));
  CHECK(prefix.contains("bab"));
  CHECK(prefix.contains("bbb.c"));
  CHECK(prefix.contains("bbb.ccc"));
  CHECK(prefix.contains("b"));
  CHECK(prefix.contains("bddd"));
  CHECK_FALSE(prefix.contains("aaa.ccc"));
  CHECK_FALSE(prefix.contains("addd"));
}

TEST_CASE("disk: a file created or removed without a sync of its directory may be lost or come back") {
  Scratch scratch;
  Durability model;
  const std::string old = scratch / "old";
  const std::string fresh = scratch / "new";
  write_file(old, "old");
  model.opened(old, true);
  const auto file = model.opened(fresh, false);
  write_file(fresh, "");
  model.wrote(*file, 0, 0, "", "new");
  write_file(fresh, "new");
  Durability::synced(*file);
  model.removing(old);
  std::filesystem::remove(old);
  model.cut();
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    model.rewrite(seed, Survival::half);
    seen.insert(read_file(old) + "+" + read_file(fresh));
  }
  CHECK(seen == std::set<std::string>{"old+", "old+new", "+new", "+"});
  model.rewrite(1, Survival::none);
  CHECK(read_file(old) == "old");
  CHECK_FALSE(std::filesystem::exists(fresh));
}

TEST_CASE("disk: SQLite with synchronous=OFF is corrupted by some cuts, with FULL or EXTRA by none") {
  // With a rollback journal, FULL does not sync the directory after removing the journal; EXTRA does.
  const std::pair<std::string, std::string> modes[] = {{"PRAGMA journal_mode=DELETE;", "EXTRA"}, {wal, "FULL"}};
  for (const auto& each_mode : modes) {
    const std::string mode = each_mode.first;
    const std::string most = each_mode.second;
    CAPTURE(mode);
    auto careless = wreck_often(mode + "PRAGMA synchronous=OFF;", 16);
    auto careful = wreck_often(mode + "PRAGMA synchronous=" + most + ";", 16);
    CHECK(tally(careless[Survival::none]).lost == 16);  // not even the table
    CHECK(tally(careless[Survival::half]).corrupt > 4);
    CHECK(tally(careless[Survival::all]).corrupt == 0);
    for (const auto& [survival, wrecked] : careful) {
      const std::string policy = name(survival);
      CAPTURE(policy);
      CHECK(tally(wrecked).corrupt == 0);
      CHECK(tally(wrecked).lost == 0);
      int more = 0;
      for (const auto& each : wrecked)
        more += each.stored > each.acknowledged ? 1 : 0;
      CHECK(more < 16);
    }
  }
}

TEST_CASE("disk: WAL with synchronous=NORMAL loses commits and corrupts nothing") {
  auto wrecked = wreck_often(std::string(wal) + "PRAGMA synchronous=NORMAL;", 16);
  int lost = 0;
  for (const auto& [survival, each] : wrecked) {
    CHECK(tally(each).corrupt == 0);
    lost += tally(each).lost;
  }
  CHECK(lost > 8);
}

TEST_CASE("disk: the n-th operation fails, with EIO or ENOSPC; afterwards the database works again") {
  Disk disk;
  {
    Raw raw(disk / "raw.db");
    REQUIRE(raw.run(std::string(wal) + "CREATE TABLE t(d BLOB)"));
  }
  for (const DiskFault fault : {DiskFault::io, DiskFault::full}) {
    std::map<std::string, int> codes;
    for (int n = 1; n <= 80; ++n) {
      const auto failed = disk.failed();
      disk.fail(disk.operations() + static_cast<std::uint64_t>(n), fault);
      Raw raw(disk / "raw.db");
      raw.run(std::string(wal) + "INSERT INTO t VALUES(randomblob(9000))");
      if (disk.failed() == failed) continue;
      CHECK(disk.failed() == failed + 1);
      ++codes[fmt::format("{} {}", name(disk.last_operation()), raw.code)];
      disk.heal();
      Raw healed(disk / "raw.db");
      REQUIRE(healed.run("INSERT INTO t VALUES(randomblob(9000))"));
      CHECK(healed.text("PRAGMA integrity_check") == "ok");
    }
    std::string got;
    for (const auto& [line, count] : codes)
      got += line + " ";
    CAPTURE(got);
    CHECK(codes.contains("open 14"));
    CHECK(codes.contains("read 10") == (fault == DiskFault::io));
    CHECK(codes.contains("write 10") == (fault == DiskFault::io));
    CHECK(codes.contains("write 13") == (fault == DiskFault::full));
    CHECK(codes.contains("sync 10"));
  }
}

TEST_CASE("disk: all operations fail until it recovers, or a random few") {
  std::set<std::string> runs;
  for (const std::uint64_t seed : {7U, 7U, 8U}) {
    Disk disk;
    Raw raw(disk / "raw.db");
    REQUIRE(raw.run(std::string(wal) + "CREATE TABLE t(d BLOB)"));
    disk.fail_from(disk.operations() + 1, DiskFault::io);
    for (int n = 0; n < 5; ++n)
      CHECK_FALSE(raw.run("INSERT INTO t VALUES(1)"));
    CHECK(disk.failed() >= 5);
    CHECK(disk.last_failed().find("raw.db-wal") != std::string::npos);
    disk.heal();
    CHECK(raw.run("INSERT INTO t VALUES(1)"));

    std::string run;
    disk.fail_randomly(seed, 20, DiskFault::io);
    for (int n = 0; n < 200; ++n)
      run += raw.run("UPDATE t SET d = randomblob(100)") ? '.' : 'x';
    disk.heal();
    CHECK(run.find('x') != std::string::npos);
    CHECK(raw.text("PRAGMA integrity_check") == "ok");
    runs.insert(run);
  }
  CHECK(runs.size() == 2);
}

TEST_CASE("disk: it counts operations by kind, and only those in its directory") {
  Scratch elsewhere;
  Disk disk;
  {
    Raw other(elsewhere / "other.db");
    REQUIRE(other.run("CREATE TABLE t(d)"));
  }
  CHECK(disk.operations() == 0);
  {
    Raw raw(disk / "raw.db");
    REQUIRE(raw.run("PRAGMA journal_mode=DELETE; CREATE TABLE t(d)"));
  }
  std::uint64_t sum = 0;
  for (const Operation kind :
       {Operation::open, Operation::read, Operation::write, Operation::sync, Operation::truncate, Operation::remove})
    sum += disk.operations(kind);
  CHECK(disk.bytes() == static_cast<std::int64_t>(std::filesystem::file_size(disk / "raw.db")));
  CHECK(disk.bytes_peak() > disk.bytes());  // it included the journal
  CHECK(disk.operations(Operation::open) == 2);
  CHECK(disk.operations(Operation::remove) == 1);
  CHECK(disk.operations(Operation::sync) >= 2);
  CHECK(sum == disk.operations());
}

}  // namespace perjoule::fakes
