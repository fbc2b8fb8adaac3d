// Opening a database on a disk that fails or loses power: our file is never set aside because of that.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "storage/sqlite/database_file.hpp"
#include "tests/fakes/disk.hpp"
#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

namespace {

using fakes::Disk;
using fakes::DiskFault;
using fakes::Survival;

// Multi-level tables, overflow pages and a free list: every kind of page that a check reads.
void fill(const Disk& disk) {
  Notes notes;
  auto connection = open_database(disk / "history.db", history_format, 0, notes);
  REQUIRE(connection);
  REQUIRE(
      connection->run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) "
                      "INSERT INTO tail SELECT i, i, i, i, randomblob(i * 90) FROM n; DELETE FROM tail WHERE id > 80"));
}

}  // namespace

TEST_CASE("opening: a failed read is an error, and nothing is set aside") {
  Disk disk;
  fill(disk);
  // A close that fails leaves the WAL, and the next opening then reads other pages.
  for (const bool lasting : {false, true}) {
    std::uint64_t failed = 1;
    for (std::uint64_t number = 1; failed > 0; ++number) {
      CAPTURE(number);
      const std::uint64_t before = disk.failed();
      const std::uint64_t at = disk.operations() + number;
      lasting ? disk.fail_from(at, DiskFault::io) : disk.fail(at, DiskFault::io);
      Notes notes;
      auto opened = open_database(disk / "history.db", history_format, 0, notes);
      failed = disk.failed() - before;
      disk.heal();
      if (!opened) CHECK(opened.error().fault != Fault::broken);
      for (const auto& note : notes)
        FAIL_CHECK(note);
    }
    CHECK(count_kept(disk.path()) == 0);
    auto reader = open_database_read_only(disk / "history.db", history_format);
    REQUIRE(reader);
    CHECK(*reader->integer("SELECT count(*) FROM tail") == 80);
  }
}

TEST_CASE("opening: after a power cut while the file is created, it is created again, and nothing is set aside") {
  for (const Format* format : {&history_format, &ledger_format}) {
    bool cut = true;
    for (std::uint64_t number = 1; cut; ++number) {
      CAPTURE(number);
      Disk disk(Disk::Memory::remembering);
      disk.cut_at(number);
      Notes notes;
      { auto connection = open_database(disk / "a.db", *format, 0, notes); }
      cut = disk.is_cut();
      CHECK(notes.empty());
      for (std::uint64_t seed = 0; cut && seed < 8; ++seed) {
        const Survival fates[] = {Survival::none, Survival::half, Survival::prefix, Survival::all};
        const std::string fate = name(fates[seed % 4]);
        CAPTURE(fate);
        CAPTURE(seed);
        disk.after_cut(seed, fates[seed % 4]);
        auto again = open_database(disk / "a.db", *format, 0, notes);
        REQUIRE(again);
        for (const auto& note : notes)
          FAIL_CHECK(note);
        CHECK(*again->text("PRAGMA integrity_check") == "ok");
        CHECK(*again->integer("PRAGMA user_version") == static_cast<std::int64_t>(format->migrations.size()));
        CHECK(*again->integer("PRAGMA auto_vacuum") == 2);
        notes.clear();
      }
    }
  }
}

}  // namespace perjoule::storage
