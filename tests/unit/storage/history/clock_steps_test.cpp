// A clock that is wrong for a while must not cost history.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "storage/history/history_reader.hpp"
#include "storage/history/slot.hpp"
#include "tests/unit/storage/history/history.hpp"
#include "tests/unit/storage/history/history_file.hpp"
#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

namespace {

constexpr std::int64_t year_ms = 365 * 24 * hour_ms;
constexpr std::int64_t period_ms = 60'000;
constexpr RetentionPolicy days{24 * hour_ms, 48 * hour_ms, 96 * hour_ms, 0};

// One series of one group, a sample a minute.
class OneSeries {
 public:
  explicit OneSeries(std::filesystem::path path) : path_(std::move(path)) { reopen(); }

  void reopen() {
    store_.reset();
    store_ = open_store(path_);
    described_ = false;
  }
  Frame frame(std::vector<std::int64_t> stamps_ms) {
    Frame frame;
    if (!described_) {
      frame.groups = {{GroupId{0}, "nvml", "GPU-0", period_ms}};
      frame.series = {describe_series(1)};
      described_ = true;
    }
    for (const std::int64_t stamp_ms : stamps_ms) {
      frame.ticks.push_back({GroupId{0}, stamp_ms, {{SeriesId{1}, static_cast<double>(stamp_ms % 1009)}}});
      expected_[identity(describe_series(1))][stamp_ms] =
          std::bit_cast<std::uint64_t>(frame.ticks.back().samples[0].value);
    }
    return frame;
  }
  // In the order in which the writer calls the store.
  void run(std::int64_t from_ms, std::int64_t for_ms, const RetentionPolicy& policy = {}) {
    for (std::int64_t at_ms = from_ms; at_ms < from_ms + for_ms; at_ms += period_ms) {
      REQUIRE(store_->append(frame({at_ms})));
      REQUIRE(store_->seal());
      for (int call = 0; call < 4; ++call)
        REQUIRE(store_->retain(policy));
    }
  }
  SqliteStore& store() { return *store_; }
  [[nodiscard]] const Cells& expected() const { return expected_; }
  [[nodiscard]] std::int64_t ask(std::string_view sql) const { return number(path_, sql); }

 private:
  std::filesystem::path path_;
  std::unique_ptr<SqliteStore> store_;
  bool described_ = false;
  Cells expected_;
};

}  // namespace

TEST_CASE("clock steps: a year ahead for a while, including a restart, loses nothing") {
  Scratch scratch;
  OneSeries one(scratch / "history.db");
  one.run(history_start_ms, 6 * hour_ms, days);
  const std::int64_t hours = one.ask("SELECT count(*) FROM roll_1h");
  one.run(history_start_ms + year_ms, hour_ms, days);
  one.reopen();
  one.run(history_start_ms + year_ms + hour_ms, hour_ms, days);
  one.run(history_start_ms + 6 * hour_ms, 6 * hour_ms, days);
  CHECK(read_all(one.store()) == one.expected());
  CHECK(one.ask("SELECT count(*) FROM roll_1h") >= hours + 7);
  CHECK(one.store().size()->expired_samples == 0);
  CHECK(one.store().size()->refused_samples == 0);
}

TEST_CASE("clock steps: a start with a clock that is a year ahead loses nothing") {
  Scratch scratch;
  OneSeries one(scratch / "history.db");
  one.run(history_start_ms, 6 * hour_ms, days);
  one.reopen();
  one.run(history_start_ms + year_ms, 2 * hour_ms, days);
  CHECK(read_all(one.store()) == one.expected());
  CHECK(one.store().size()->expired_samples == 0);
}

TEST_CASE("clock steps: after more than a day ahead, old data expires") {
  Scratch scratch;
  OneSeries one(scratch / "history.db");
  one.run(history_start_ms, 6 * hour_ms, days);
  one.run(history_start_ms + year_ms, 23 * hour_ms, days);
  CHECK(read_all(one.store()) == one.expected());
  one.run(history_start_ms + year_ms + 23 * hour_ms, 2 * hour_ms, days);
  CHECK(read_all(one.store()) == only_from(one.expected(), one.store().size()->oldest_ms));
  CHECK(one.store().size()->oldest_ms >= history_start_ms + year_ms);
  CHECK(one.ask("SELECT min(start_s) FROM roll_1h") * 1000 >= history_start_ms + year_ms - hour_ms);
}

TEST_CASE("clock steps: a commit that spans a step waits only for the slots that it has samples of") {
  Scratch scratch;
  OneSeries one(scratch / "history.db");
  REQUIRE(one.store().append(one.frame({history_start_ms, history_start_ms + year_ms})));
  one.reopen();  // the waiting slots are loaded from the file
  REQUIRE(one.store().append(one.frame({history_start_ms + 1'000, history_start_ms + 2 * hour_ms})));
  int calls = 0;
  while (*one.store().seal())
    ++calls;
  CHECK(calls < 8);
  CHECK(read_all(one.store()) == one.expected());
  CHECK(one.ask("SELECT count(*) FROM chunk") == 3);
  CHECK(one.ask("SELECT count(*) FROM grp") == 3);
}

TEST_CASE("clock steps: a version 1 row that spans a step waits only for the slots that it has samples of") {
  Scratch scratch;
  Cells expected;
  const std::vector<std::vector<std::int64_t>> rows = {{history_start_ms, history_start_ms + 10'000},
                                                       {history_start_ms + 20'000, history_start_ms + year_ms}};
  write_version_1(scratch / "history.db", rows, expected);
  auto store = open_store(scratch / "history.db");
  REQUIRE(store->append({{describe_series(9)},
                         {{GroupId{0}, "nvml", "GPU-9", period_ms}},
                         {{GroupId{0}, history_start_ms + year_ms + hour_ms, {{SeriesId{9}, 1.0}}}}}));
  int calls = 0;
  while (*store->seal())
    ++calls;
  CHECK(calls < 8);
  CHECK(number(scratch / "history.db", "SELECT count(*) FROM chunk") == 2);
  Cells left = read_all(*store);
  left.erase(identity(describe_series(9)));
  CHECK(left == expected);
}

TEST_CASE("clock steps: a group that was silent for days gets a new grp row") {
  Scratch scratch;
  OneSeries one(scratch / "history.db");
  one.run(history_start_ms, hour_ms);
  one.run(history_start_ms + 20 * hour_ms, hour_ms);
  CHECK(one.ask("SELECT count(*) FROM grp") == 1);
  one.run(history_start_ms + 100 * hour_ms, hour_ms);
  CHECK(one.ask("SELECT count(*) FROM grp") == 2);
  CHECK(one.ask("SELECT max(sealed - first_slot) FROM grp") < 96);
  CHECK(read_all(one.store()) == one.expected());
}

TEST_CASE("clock steps: a clock that began in 1970 does not prevent retention") {
  Scratch scratch;
  OneSeries one(scratch / "history.db");
  one.run(1'000, 2 * hour_ms, days);
  CHECK(one.ask("SELECT min(k) >> 24 FROM chunk") == 0);
  one.run(history_start_ms, 26 * hour_ms, days);
  CHECK(one.ask("SELECT min(k) >> 24 FROM chunk") > 0);
  CHECK(one.ask("SELECT min(k) >> 24 FROM roll_1m") > 0);
  CHECK(read_all(one.store()) == only_from(one.expected(), one.store().size()->oldest_ms));
}

TEST_CASE("retention: unsealed samples are rolled up before they expire, whatever their age") {
  Scratch scratch;
  OneSeries one(scratch / "history.db");
  for (std::int64_t at_ms = history_start_ms; at_ms < history_start_ms + 6 * hour_ms; at_ms += period_ms)
    REQUIRE(one.store().append(one.frame({at_ms})));
  const RetentionPolicy policy{hour_ms, 0, 0, 0};
  do {
    while (*one.store().retain(policy)) {
    }
  } while (*one.store().seal());
  while (*one.store().retain(policy)) {
  }
  CHECK(one.ask("SELECT count(*) FROM roll_1m") == 23);
  CHECK(one.ask("SELECT count(*) FROM chunk") <= 4);
}

}  // namespace perjoule::storage
