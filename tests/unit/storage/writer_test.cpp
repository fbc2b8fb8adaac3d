#include "storage/writer.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "tests/unit/storage/history/history.hpp"
#include "tests/unit/storage/loop.hpp"
#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

namespace {

// A simulated disk that is slow, full or broken when the test requests it. It outlives the stores opened on it.
struct Disk {
  std::mutex mutex;
  std::condition_variable changed;
  bool slow = false;
  int waiting = 0;
  bool ledger_fails = false;
  bool history_opens = true;
  bool lost = false;  // the history's file
  std::optional<Fault> append_fails;
  std::optional<Fault> ending_fails;
  int runs_ended = 0;
  std::vector<Frame> frames;
  std::vector<std::string> events;
  RetentionPolicy policy;
  StoreSize size{.bytes = 1234, .series = 5, .oldest_ms = 6, .tail_rows = 7, .reach_ms = {}};

  template <class Change>
  void set(const Change& change) {
    const std::lock_guard lock(mutex);
    change();
    changed.notify_all();
  }
  void wait_until_stuck() {
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, std::chrono::seconds(60), [this] { return waiting > 0; }));
  }
  // The writer's thread blocks here while the disk is slow.
  void gate(std::unique_lock<std::mutex>& lock) {
    ++waiting;
    changed.notify_all();
    changed.wait(lock, [this] { return !slow; });
    --waiting;
  }
};

class FakeStore final : public Store {
 public:
  explicit FakeStore(Disk& disk) : disk_(disk) {}
  Result<void> append(const Frame& frame) override {
    std::unique_lock lock(disk_.mutex);
    disk_.gate(lock);
    if (disk_.append_fails) return Error{*disk_.append_fails, "history.db: no"};
    disk_.frames.push_back(frame);
    disk_.events.emplace_back("history");
    return {};
  }
  Result<void> end_previous_run() override {
    const std::lock_guard lock(disk_.mutex);
    ++disk_.runs_ended;
    if (disk_.ending_fails) return Error{*disk_.ending_fails, "history.db: no"};
    return {};
  }
  Result<bool> seal() override {
    const std::lock_guard lock(disk_.mutex);
    disk_.events.emplace_back("seal");
    return true;
  }
  Result<bool> retain(const RetentionPolicy& policy) override {
    const std::lock_guard lock(disk_.mutex);
    disk_.policy = policy;
    disk_.events.emplace_back("retain");
    return true;
  }
  Result<StoreSize> size() override {
    const std::lock_guard lock(disk_.mutex);
    return disk_.size;
  }
  bool look(bool thoroughly) override {
    const std::lock_guard lock(disk_.mutex);
    if (thoroughly) disk_.events.emplace_back("read as a whole");
    return !disk_.lost;
  }
  Result<bool> save(bool, std::int64_t) override {
    const std::lock_guard lock(disk_.mutex);
    if (disk_.append_fails) return Error{*disk_.append_fails, "history.db: no room to save it"};
    disk_.events.emplace_back("saved");
    disk_.lost = false;
    news_.lines.emplace_back("saved");
    ++news_.recoveries;
    return true;
  }
  StoreNews take_news() override { return std::exchange(news_, {}); }
  Result<void> read(const Selection&, const Each&) override { return {}; }

 private:
  Disk& disk_;
  StoreNews news_;
};

struct Bench {
  explicit Bench(WriterLimits limits = {}) : writer(files(), nullptr, {}, limits, loop.post()) {}

  WriterFiles files() {
    WriterFiles files;
    files.ledger = [this]() -> Result<std::unique_ptr<LedgerFile>> {
      const std::lock_guard lock(disk.mutex);
      if (disk.ledger_fails) return Error{Fault::denied, "ledger.db: no"};
      Notes notes;
      auto ledger = LedgerFile::open(scratch / "ledger.db", 0, notes);
      if (!ledger) return ledger.error();
      disk.events.emplace_back("ledger opened");
      return std::make_unique<LedgerFile>(std::move(*ledger));
    };
    files.history = [this]() -> Result<std::unique_ptr<Store>> {
      const std::lock_guard lock(disk.mutex);
      if (!disk.history_opens) return Error{Fault::denied, "history.db: read-only"};
      disk.events.emplace_back("history opened");
      return std::unique_ptr<Store>(std::make_unique<FakeStore>(disk));
    };
    return files;
  }
  void ask(std::uint64_t snapshot, bool history, LedgerRows rows = {}) {
    writer.commit(snapshot, std::move(rows), history, [this](Report report) { reports.push_back(std::move(report)); });
  }
  Report commit(bool history, LedgerRows rows = {}) {
    ask(++generation, history, std::move(rows));
    loop.run_one();
    CHECK(reports.back().generation == generation);
    return reports.back();
  }
  void push(std::int64_t number, std::size_t samples = 2) {
    writer.push({GroupId{1}, number, std::vector<Sample>(samples, Sample{SeriesId{1}, 1.0})});
  }
  std::vector<std::int64_t> stored() {
    const std::lock_guard lock(disk.mutex);
    std::vector<std::int64_t> numbers;
    for (const auto& frame : disk.frames) {
      for (const auto& tick : frame.ticks)
        numbers.push_back(tick.wall_ms);
    }
    return numbers;
  }
  LedgerRows ledger_rows() {
    auto rows = LedgerFile::load_read_only(scratch / "ledger.db");
    REQUIRE(rows);
    return *rows;
  }

  Scratch scratch;
  Disk disk;
  Loop loop;
  std::vector<Report> reports;
  std::uint64_t generation = 0;
  Writer writer;
};

using Numbers = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("writer: it commits the ledger first, then the ticks that were pushed before the commit") {
  Bench bench;
  bench.writer.describe(describe_series(1));
  bench.writer.describe(GroupDescription{GroupId{1}, "rapl", "package-0", 1000});
  bench.push(1);
  bench.push(2);
  bench.ask(++bench.generation, true, {{{"a", 5}}, {}});
  bench.push(3);
  bench.loop.run_one();
  const Report report = bench.reports.back();
  CHECK(report.ledger_committed);
  CHECK(report.history_committed);
  CHECK(report.error == "");
  CHECK(report.appended_samples == 4);
  CHECK(report.dropped_samples == 0);
  CHECK(report.size.bytes == 1234);
  CHECK(report.ledger_seconds > 0);
  CHECK(bench.stored() == Numbers{1, 2});
  CHECK(bench.disk.frames[0].series.size() == 1);
  CHECK(bench.disk.frames[0].groups.size() == 1);
  CHECK(bench.disk.events[0] == "ledger opened");
  CHECK(bench.disk.events[1] == "history opened");
  CHECK(bench.ledger_rows().totals.at(0).millionths == 5);

  CHECK_FALSE(bench.commit(false).history_attempted);
  CHECK(bench.stored() == Numbers{1, 2});
  CHECK(bench.commit(true).appended_samples == 2);
  CHECK(bench.stored() == Numbers{1, 2, 3});
  CHECK(bench.disk.frames[1].series.empty());
}

TEST_CASE("writer: no history is committed without a ledger; both resume when the files work again") {
  Bench bench;
  bench.disk.set([&] { bench.disk.ledger_fails = true; });
  bench.push(1);
  Report report = bench.commit(true, {{{"a", 5}}, {{"a", "boot", 1, 2, 3, 4}}});
  CHECK_FALSE(report.ledger_committed);
  CHECK_FALSE(report.history_attempted);
  CHECK(report.history_failed);
  CHECK_FALSE(bench.commit(false).history_failed);
  CHECK(report.error == "ledger.db: no");
  CHECK(bench.stored().empty());

  bench.disk.set([&] {
    bench.disk.ledger_fails = false;
    bench.disk.history_opens = false;
  });
  bench.push(2);
  report = bench.commit(true, {{{"b", 6}}, {}});
  CHECK(report.ledger_committed);
  CHECK(report.history_attempted);
  CHECK_FALSE(report.history_committed);
  CHECK(report.history_failed);
  CHECK(report.error == "history.db: read-only");
  CHECK(bench.ledger_rows().totals.size() == 2);
  CHECK(bench.ledger_rows().meters.size() == 1);

  bench.disk.set([&] { bench.disk.history_opens = true; });
  CHECK(bench.commit(true).history_committed);
  CHECK(bench.stored() == Numbers{1, 2});
}

TEST_CASE("writer: ticks of a failed commit stay queued in order; over the limit the oldest are dropped and counted") {
  Bench bench({4, std::size_t{1} << 20});
  bench.disk.set([&] { bench.disk.append_fails = Fault::transient; });
  for (int n = 1; n <= 3; ++n)
    bench.push(n);
  Report report = bench.commit(true);
  CHECK(report.ledger_committed);
  CHECK_FALSE(report.history_committed);
  CHECK(report.appended_samples == 0);
  CHECK(report.dropped_samples == 0);
  for (int n = 4; n <= 6; ++n)
    bench.push(n, 3);
  report = bench.commit(true);
  CHECK(report.dropped_samples == 4);
  bench.disk.set([&] { bench.disk.append_fails.reset(); });
  report = bench.commit(true);
  CHECK(report.history_committed);
  CHECK(report.dropped_samples == 0);
  CHECK(bench.stored() == Numbers{3, 4, 5, 6});

  Bench narrow({1000, 500});
  for (int n = 1; n <= 100; ++n)
    narrow.push(n, 10);
  report = narrow.commit(true);
  CHECK(report.dropped_samples + report.appended_samples == 1000);
  CHECK(report.appended_samples > 0);
  CHECK(report.appended_samples * sizeof(Sample) <= 500);
  CHECK(narrow.stored().back() == 100);
}

TEST_CASE("writer: if ticks in a running commit leave no room, the new tick is dropped") {
  Bench bench({2, std::size_t{1} << 20});
  bench.push(1);
  bench.push(2);
  bench.disk.set([&] { bench.disk.slow = true; });
  bench.ask(++bench.generation, true);
  bench.disk.wait_until_stuck();
  bench.push(3);
  bench.disk.set([&] { bench.disk.slow = false; });
  bench.loop.run_one();
  CHECK(bench.reports.back().dropped_samples == 2);
  CHECK(bench.stored() == Numbers{1, 2});
  bench.push(4);
  bench.commit(true);
  CHECK(bench.stored() == Numbers{1, 2, 4});
}

TEST_CASE("writer: a broken store is opened again and gets every description again") {
  Bench bench;
  bench.writer.describe(describe_series(1));
  bench.writer.describe(GroupDescription{GroupId{1}, "rapl", "package-0", 1000});
  bench.push(1);
  bench.commit(true);
  bench.disk.set([&] { bench.disk.append_fails = Fault::broken; });
  bench.push(2);
  bench.writer.describe(describe_series(2));
  CHECK_FALSE(bench.commit(true).history_committed);
  bench.disk.set([&] { bench.disk.append_fails.reset(); });
  CHECK(bench.commit(true).history_committed);
  CHECK(std::count(bench.disk.events.begin(), bench.disk.events.end(), "read as a whole") == 1);
  CHECK(std::count(bench.disk.events.begin(), bench.disk.events.end(), "history opened") == 2);
  CHECK(bench.disk.frames.back().series.size() == 2);
  CHECK(bench.disk.frames.back().groups.size() == 1);
  CHECK(bench.stored() == Numbers{1, 2});
}

TEST_CASE("writer: a lost history is saved with the next commit of the ledger, and nothing is appended before") {
  Bench bench;
  bench.writer.describe(describe_series(1));
  bench.push(1);
  bench.commit(true);
  bench.disk.set([&] {
    bench.disk.lost = true;
    bench.disk.append_fails = Fault::transient;
  });
  bench.push(2);
  Report report = bench.commit(true);
  CHECK(report.ledger_committed);
  CHECK(report.history_failed);
  CHECK_FALSE(report.history_attempted);
  CHECK(report.error == "history.db: no room to save it");
  CHECK(report.history_recoveries == 0);
  bench.disk.set([&] { bench.disk.append_fails.reset(); });
  report = bench.commit(false);
  CHECK(report.error == "");
  CHECK(report.history_recoveries == 1);
  CHECK(report.notes == std::vector<std::string>{"saved"});
  CHECK(bench.stored() == Numbers{1});
  CHECK(bench.commit(true).history_committed);
  CHECK(bench.stored() == Numbers{1, 2});
  CHECK(bench.disk.frames.back().series.size() == 1);
}

TEST_CASE("writer: the series of the run before are ended once, before the first sample of this one") {
  Bench bench;
  bench.disk.set([&] { bench.disk.ending_fails = Fault::transient; });
  bench.push(1);
  CHECK_FALSE(bench.commit(true).history_committed);
  CHECK(bench.stored().empty());
  bench.disk.set([&] { bench.disk.ending_fails.reset(); });
  CHECK(bench.commit(true).history_committed);
  CHECK(bench.stored() == Numbers{1});
  CHECK(bench.disk.runs_ended == 2);
  bench.disk.set([&] { bench.disk.append_fails = Fault::broken; });
  bench.push(2);
  CHECK_FALSE(bench.commit(true).history_committed);
  bench.disk.set([&] { bench.disk.append_fails.reset(); });
  CHECK(bench.commit(true).history_committed);  // opened again: the series of this run go on
  CHECK(bench.disk.runs_ended == 2);
}

TEST_CASE("writer: a deleted ledger is created again with every row") {
  Bench bench;
  bench.commit(false, {{{"a", 1}, {"b", 2}}, {{"a", "boot", 1, 2, 3, 4}}});
  std::filesystem::remove(bench.scratch / "ledger.db");
  Report report = bench.commit(false, {{{"b", 3}}, {}});
  CHECK(report.ledger_committed);
  CHECK(report.ledger_recoveries == 1);
  REQUIRE(report.notes.size() == 1);
  CHECK(report.notes[0].find("deleted") != std::string::npos);
  const LedgerRows rows = bench.ledger_rows();
  REQUIRE(rows.totals.size() == 2);
  CHECK(rows.totals[0].millionths == 1);
  CHECK(rows.totals[1].millionths == 3);
  CHECK(rows.meters.size() == 1);
}

TEST_CASE("writer: while the disk is slow one commit waits, and a newer one replaces it and includes its rows") {
  Bench bench;
  bench.disk.set([&] { bench.disk.slow = true; });
  bench.push(1);
  bench.ask(1, true);
  bench.disk.wait_until_stuck();
  bench.push(2);
  bench.ask(2, true, {{{"a", 1}}, {}});
  bench.push(3);
  bench.ask(3, false, {{{"b", 1}}, {}});
  bench.loop.run_one();
  CHECK(bench.reports.back().generation == 2);
  CHECK_FALSE(bench.reports.back().ledger_committed);
  CHECK(bench.reports.back().error.find("slow") != std::string::npos);
  bench.disk.set([&] { bench.disk.slow = false; });
  bench.loop.run_one();
  CHECK(bench.reports.back().generation == 1);
  CHECK(bench.reports.back().history_committed);
  bench.loop.run_one();
  CHECK(bench.reports.back().generation == 3);
  CHECK(bench.reports.back().history_committed);
  CHECK(bench.stored() == Numbers{1, 2, 3});
  CHECK(bench.ledger_rows().totals.size() == 2);
}

TEST_CASE("writer: sealing and retention run after each history commit, a bounded number of times") {
  Bench bench;
  bench.push(10'000);
  bench.commit(true);
  CHECK(bench.disk.policy.raw_ms == 0);
  CHECK(bench.disk.policy.bytes_max == 0);
  bench.writer.retention({3'000, 4'000, 5'000, 77});
  bench.push(11'000);
  bench.commit(true);
  CHECK(bench.disk.policy.raw_ms == 3'000);
  CHECK(bench.disk.policy.minute_ms == 4'000);
  CHECK(bench.disk.policy.hour_ms == 5'000);
  CHECK(bench.disk.policy.bytes_max == 77);
  CHECK(std::count(bench.disk.events.begin(), bench.disk.events.end(), "seal") == 4);
  CHECK(std::count(bench.disk.events.begin(), bench.disk.events.end(), "retain") == 8);
}

TEST_CASE("writer: a store's counts are reported once, also when the store had to be opened again") {
  Bench bench;
  bench.disk.size.refused_samples = 3;
  bench.disk.size.expired_samples = 10;
  bench.disk.size.undecodable = 1;
  bench.push(1);
  CHECK(bench.commit(true).refused_samples == 3);
  bench.disk.set([&] { bench.disk.size.expired_samples = 14; });
  bench.push(2);
  Report report = bench.commit(true);
  CHECK(report.refused_samples == 0);
  CHECK(report.expired_samples == 4);
  CHECK(report.undecodable == 0);
  bench.disk.set([&] { bench.disk.append_fails = Fault::broken; });
  bench.push(3);
  bench.commit(true);
  bench.disk.set([&] {
    bench.disk.append_fails.reset();
    bench.disk.size.expired_samples = 2;
    bench.disk.size.refused_samples = 0;
    bench.disk.size.undecodable = 5;
  });
  report = bench.commit(true);
  CHECK(report.expired_samples == 2);
  CHECK(report.refused_samples == 0);
  CHECK(report.undecodable == 5);
}

TEST_CASE("writer: stop waits for the requested commits up to its deadline, and returns whether they are on disk") {
  const auto far = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  {
    Bench bench;
    CHECK(bench.writer.stop(far));
  }
  {
    Bench bench;
    bench.push(1);
    bench.ask(1, true, {{{"a", 1}}, {}});
    CHECK(bench.writer.stop(far));
    CHECK(bench.stored() == Numbers{1});
    CHECK(bench.ledger_rows().totals.size() == 1);
  }
  {
    Bench bench;
    bench.disk.set([&] { bench.disk.append_fails = Fault::transient; });
    bench.push(1);
    bench.ask(1, true);
    CHECK_FALSE(bench.writer.stop(far));
  }
  Bench bench;
  bench.disk.set([&] { bench.disk.slow = true; });
  bench.push(1);
  bench.ask(1, true);
  bench.disk.wait_until_stuck();
  CHECK_FALSE(bench.writer.stop(std::chrono::steady_clock::now()));
  bench.disk.set([&] { bench.disk.slow = false; });
}

}  // namespace perjoule::storage
