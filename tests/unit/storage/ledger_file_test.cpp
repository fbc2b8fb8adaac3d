#include "storage/ledger_file.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

namespace {

constexpr std::int64_t now_ms = 1795515072000;

LedgerRows sample_rows(int count, std::int64_t millionths) {
  LedgerRows rows;
  for (int n = 0; n < count; ++n) {
    const std::string key = fmt::format(R"(perjoule_gpu_energy_joules_total{{gpu="{}",uuid="GPU-{:036}"}})", n, n);
    rows.totals.push_back({key, millionths + n});
    rows.meters.push_back(
        {key, "e8b9a3a2-0000-4000-8000-000000000001", static_cast<std::uint64_t>(millionths), 5, 6, 7});
  }
  return rows;
}

LedgerRows reopened(const std::filesystem::path& path) {
  Notes notes;
  auto ledger = LedgerFile::open(path, now_ms, notes);
  REQUIRE(ledger);
  CHECK(notes.empty());
  auto rows = ledger->load();
  REQUIRE(rows);
  return *rows;
}

}  // namespace

TEST_CASE("ledger file: committed rows are read back, with any numbers") {
  Scratch scratch;
  LedgerRows rows;
  rows.totals = {{"a", 0}, {"b", INT64_MAX}, {"c", INT64_MIN}, {"d{x=\"\xc3\xa9\\\"\"}", 42}};
  rows.meters = {{"a", "boot", UINT64_MAX, INT64_MIN, INT64_MAX, -1}, {"b", "", 0, 0, 0, 0}};
  {
    Notes notes;
    auto ledger = LedgerFile::open(scratch / "ledger.db", now_ms, notes);
    REQUIRE(ledger);
    REQUIRE(ledger->load());
    CHECK(ledger->load()->totals.empty());
    REQUIRE(ledger->commit(rows));
  }
  const LedgerRows read = reopened(scratch / "ledger.db");
  REQUIRE(read.totals.size() == rows.totals.size());
  for (std::size_t n = 0; n < rows.totals.size(); ++n) {
    CHECK(read.totals[n].key == rows.totals[n].key);
    CHECK(read.totals[n].millionths == rows.totals[n].millionths);
  }
  REQUIRE(read.meters.size() == 2);
  CHECK(read.meters[0].boot_id == "boot");
  CHECK(read.meters[0].raw == UINT64_MAX);
  CHECK(read.meters[0].steady_ns == INT64_MIN);
  CHECK(read.meters[0].wall_ms == INT64_MAX);
  CHECK(read.meters[0].power_microwatts == -1);
}

TEST_CASE("ledger file: an expired total is deleted with its meter, and may come back in the same commit") {
  Scratch scratch;
  {
    Notes notes;
    auto ledger = LedgerFile::open(scratch / "ledger.db", now_ms, notes);
    REQUIRE(ledger);
    REQUIRE(ledger->commit({{{"a", 5}, {"b", 6}, {"c", 7}}, {{"a", "boot", 1, 2, 3, 4}, {"b", "boot", 1, 2, 3, 4}}}));
    REQUIRE(ledger->commit({{{"b", 1}}, {}, {}, {"a", "b", "never seen"}}));
  }
  const LedgerRows read = reopened(scratch / "ledger.db");
  REQUIRE(read.totals.size() == 2);
  CHECK(read.totals[0].key == "b");
  CHECK(read.totals[0].millionths == 1);
  CHECK(read.totals[1].key == "c");
  CHECK(read.meters.empty());
}

TEST_CASE("ledger file: the newest value of each state is read back, and an empty one deletes it") {
  Scratch scratch;
  {
    Notes notes;
    auto ledger = LedgerFile::open(scratch / "ledger.db", now_ms, notes);
    REQUIRE(ledger);
    REQUIRE(ledger->commit({{}, {}, {{"alert/a", "firing"}, {"alert/b", "pending"}, {"inventory/x", "0 \xc3\xa9"}}}));
    REQUIRE(ledger->commit({{}, {}, {{"alert/a", "resolved"}, {"alert/b", ""}, {"never seen", ""}}}));
  }
  const LedgerRows read = reopened(scratch / "ledger.db");
  REQUIRE(read.states.size() == 2);
  CHECK(read.states[0].key == "alert/a");
  CHECK(read.states[0].text == "resolved");
  CHECK(read.states[1].key == "inventory/x");
  CHECK(read.states[1].text == "0 \xc3\xa9");
}

TEST_CASE("ledger file: a version 1 file is migrated, or read as it is if it cannot be written") {
  Scratch scratch;
  Format before = ledger_format;
  before.migrations = ledger_format.migrations.first(1);
  Notes notes;
  {
    auto connection = open_database(scratch / "ledger.db", before, now_ms, notes);
    REQUIRE(connection);
    REQUIRE(connection->run("INSERT INTO total VALUES('t', 42)"));
  }
  auto read_only = LedgerFile::load_read_only(scratch / "ledger.db");
  REQUIRE(read_only);
  CHECK(read_only->totals.at(0).millionths == 42);
  CHECK(read_only->states.empty());
  auto ledger = LedgerFile::open(scratch / "ledger.db", now_ms, notes);
  REQUIRE(ledger);
  CHECK(notes.empty());
  CHECK(ledger->load()->totals.at(0).millionths == 42);
  REQUIRE(ledger->commit({{}, {}, {{"k", "v"}}}));
  CHECK(ledger->load()->states.at(0).text == "v");
}

TEST_CASE("ledger file: a total never falls, a meter may") {
  Scratch scratch;
  Notes notes;
  auto ledger = LedgerFile::open(scratch / "ledger.db", now_ms, notes);
  REQUIRE(ledger);
  REQUIRE(ledger->commit({{{"t", 100}}, {{"t", "b", 100, 1, 1, 0}}}));
  REQUIRE(ledger->commit({{{"t", 99}}, {{"t", "b", 3, 2, 2, 0}}}));
  auto rows = ledger->load();
  REQUIRE(rows);
  CHECK(rows->totals.at(0).millionths == 100);
  CHECK(rows->meters.at(0).raw == 3);
}

TEST_CASE("ledger file: on a full disk totals are still committed, also after a restart") {
  SmallDisk disk("4m");
  if (!disk) return;
  std::int64_t value = 1000;
  {
    Notes notes;
    auto ledger = LedgerFile::open(disk / "ledger.db", now_ms, notes);
    REQUIRE(ledger);
    for (const auto& note : notes)
      FAIL_CHECK(note);
    REQUIRE(ledger->commit(sample_rows(500, value)));
    disk.fill();
    // Meanwhile the integers grow from two bytes to eight.
    for (int n = 0; n < 2000; ++n) {
      value += value / 64 + 1;
      CAPTURE(n);
      REQUIRE(ledger->commit(sample_rows(500, value)));
    }
    auto rows = ledger->load();
    REQUIRE(rows);
    CHECK(std::any_of(rows->totals.begin(), rows->totals.end(),
                      [&](const TotalRow& row) { return row.millionths == value; }));
  }
  for (int start = 0; start < 3; ++start) {
    Notes notes;
    auto ledger = LedgerFile::open(disk / "ledger.db", now_ms, notes);
    REQUIRE(ledger);
    for (const auto& note : notes)
      FAIL_CHECK(note);
    for (int n = 0; n < 200; ++n)
      REQUIRE(ledger->commit(sample_rows(500, ++value)));
  }
  // At some point new rows no longer fit. Old rows stay, and with free space commits succeed again.
  Notes notes;
  auto ledger = LedgerFile::open(disk / "ledger.db", now_ms, notes);
  REQUIRE(ledger);
  auto refused = ledger->commit(sample_rows(20000, value + 1));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().fault == Fault::transient);
  CHECK(refused.error().remedy.find("free space") != std::string::npos);
  CHECK(ledger->load()->totals.size() == 500);
  REQUIRE(ledger->commit(sample_rows(500, value + 1)));
  disk.make_room();
  REQUIRE(ledger->commit(sample_rows(2000, value + 2)));
  CHECK(ledger->load()->totals.size() == 2000);
}

TEST_CASE("ledger file: it does not grow with each start") {
  Scratch scratch;
  std::uintmax_t size = 0;
  for (int start = 0; start < 8; ++start) {
    Notes notes;
    auto ledger = LedgerFile::open(scratch / "ledger.db", now_ms, notes);
    REQUIRE(ledger);
    for (int n = 0; n < 50; ++n)
      REQUIRE(ledger->commit(sample_rows(300, 1000 + n)));
    const auto now =
        std::filesystem::file_size(scratch / "ledger.db") + std::filesystem::file_size(scratch / "ledger.db-wal");
    if (start == 1) size = now;
    if (start > 1) CHECK(now <= size + 16 * 4096);
  }
}

TEST_CASE("ledger file: a damaged file is set aside, a deleted one is detected") {
  Scratch scratch;
  const auto path = scratch / "ledger.db";
  write_file(path, std::string(9000, 'j'));
  Notes notes;
  auto ledger = LedgerFile::open(path, now_ms, notes);
  REQUIRE(ledger);
  CHECK(notes.size() == 1);
  CHECK(count_kept(scratch.path()) == 1);
  REQUIRE(ledger->commit(sample_rows(1, 1)));
  std::filesystem::remove(path);
  const Finding found = ledger->look(false);
  CHECK(found.standing == Standing::lost);
  CHECK(found.what.find("deleted") != std::string::npos);
}

TEST_CASE("ledger file: rows can be read from a read-only disk") {
  SmallDisk disk("4m");
  if (!disk) return;
  {
    Notes notes;
    auto ledger = LedgerFile::open(disk / "ledger.db", now_ms, notes);
    REQUIRE(ledger);
    REQUIRE(ledger->commit(sample_rows(3, 9)));
  }
  REQUIRE(disk.read_only(true));
  Notes notes;
  CHECK_FALSE(LedgerFile::open(disk / "ledger.db", now_ms, notes));
  auto rows = LedgerFile::load_read_only(disk / "ledger.db");
  REQUIRE(rows);
  CHECK(rows->totals.size() == 3);
}

}  // namespace perjoule::storage
