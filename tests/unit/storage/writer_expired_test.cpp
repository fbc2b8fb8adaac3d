// Totals that expire while the ledger's commits fail.
#include <doctest/doctest.h>

#include <map>
#include <random>

#include "storage/writer.hpp"
#include "tests/fakes/disk.hpp"
#include "tests/unit/storage/loop.hpp"

namespace perjoule::storage {

TEST_CASE("writer: expired totals leave the file, whichever commits fail, and those that come back begin again") {
  std::mt19937 random(7);
  fakes::Disk disk;
  Loop loop;
  WriterFiles files;
  files.ledger = [&]() -> Result<std::unique_ptr<LedgerFile>> {
    Notes notes;
    auto ledger = LedgerFile::open(disk / "ledger.db", 0, notes);
    if (!ledger) return ledger.error();
    return std::make_unique<LedgerFile>(std::move(*ledger));
  };
  files.history = []() -> Result<std::unique_ptr<Store>> { return Error{Fault::denied, "history.db: not here"}; };
  Writer writer(files, nullptr, {}, {}, loop.post());
  std::map<std::string, std::int64_t> expected;
  int failed = 0;
  for (int round = 0; round < 2'000; ++round) {
    LedgerRows rows;
    for (const std::string key : {"a", "b", "c", "d", "e"}) {
      const unsigned action = random() % 4;  // nothing, expire, expire and come back, change
      if ((action == 1 || action == 2) && expected.erase(key) > 0) rows.expired.push_back(key);
      if (action < 2) continue;
      expected[key] = round;
      rows.totals.push_back({key, round});
      rows.meters.push_back({key, "boot", 1, round, 3, 4});
    }
    if (random() % 3 == 0) disk.fail_from(disk.operations() + 1 + random() % 3, fakes::DiskFault::full);
    bool committed = false;
    writer.commit(static_cast<std::uint64_t>(round), std::move(rows), false,
                  [&](const Report& report) { committed = report.ledger_committed; });
    loop.run_one();
    disk.heal();
    failed += committed ? 0 : 1;
    if (!committed) continue;
    const auto stored = LedgerFile::load_read_only(disk / "ledger.db");
    REQUIRE(stored.has_value());
    std::map<std::string, std::int64_t> totals;
    for (const TotalRow& row : stored->totals)
      totals[row.key] = row.millionths;
    CHECK(totals == expected);
    CHECK(stored->meters.size() == expected.size());
  }
  CHECK(failed > 200);
}

}  // namespace perjoule::storage
