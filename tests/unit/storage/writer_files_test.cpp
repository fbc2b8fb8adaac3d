#include <doctest/doctest.h>

#include "storage/history/sqlite_store.hpp"
#include "storage/writer.hpp"
#include "tests/unit/storage/history/history.hpp"
#include "tests/unit/storage/loop.hpp"
#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

TEST_CASE("writer: on real files, nothing is lost or stored twice when the disk is full for a while") {
  SmallDisk disk("8m");
  if (!disk) return;
  RandomHistory history(21);
  Loop loop;
  std::vector<std::string> notes;
  std::mutex mutex;
  int failed = 0;
  {
    Writer writer(files_in(
                      disk.path(), [] { return std::int64_t{1795515072000}; },
                      [&](const std::string& line) {
                        const std::lock_guard lock(mutex);
                        notes.push_back(line);
                      }),
                  nullptr, {}, {}, loop.post());
    for (std::uint64_t n = 1; n <= 30; ++n) {
      if (n == 10) {
        disk.fill();
      }
      if (n == 20) disk.make_room();
      const Frame frame = history.next_frame(40);
      history.expect(frame);
      for (const auto& series : frame.series)
        writer.describe(series);
      for (const auto& group : frame.groups)
        writer.describe(group);
      for (const auto& tick : frame.ticks)
        writer.push(tick);
      Report report;
      writer.commit(n, {{{"total", static_cast<std::int64_t>(n)}}, {}}, true,
                    [&](Report each) { report = std::move(each); });
      loop.run_one();
      CHECK(report.ledger_committed);
      CHECK(report.dropped_samples == 0);
      if (!report.history_committed) ++failed;
    }
    CHECK(writer.stop(std::chrono::steady_clock::now() + std::chrono::seconds(60)));
  }
  CHECK(failed > 0);
  CHECK(failed < 11);
  CHECK(notes.empty());
  auto store = SqliteStore::open_read_only(disk / "history.db");
  REQUIRE(store);
  CHECK(read_all(**store) == history.cells());
  CHECK(LedgerFile::load_read_only(disk / "ledger.db")->totals.at(0).millionths == 30);
}

}  // namespace perjoule::storage
