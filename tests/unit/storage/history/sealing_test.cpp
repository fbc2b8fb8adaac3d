// Tests chunks, roll-ups and retention of the store through what is read back.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "storage/history/history_reader.hpp"
#include "storage/history/slot.hpp"
#include "storage/history/sqlite_store.hpp"
#include "tests/unit/storage/history/history.hpp"
#include "tests/unit/storage/history/history_file.hpp"
#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

namespace {

RetentionPolicy size_limit(std::int64_t bytes_max) {
  return {.bytes_max = bytes_max};
}

using Buckets = std::map<std::int64_t, Bucket>;

// The buckets of one series, computed slowly: each value holds until the next, at most three periods.
Buckets expected_buckets(const std::map<std::int64_t, std::uint64_t>& points, std::int64_t period_ms,
                         std::int64_t width_ms, bool counter) {
  Buckets buckets;
  std::map<std::int64_t, double> integral;
  std::optional<std::pair<std::int64_t, double>> before;
  const auto stand = [&](std::int64_t until_ms) {
    if (!before) return;
    const std::int64_t end_ms = std::min(until_ms, before->first + 3 * period_ms);
    for (std::int64_t at_ms = before->first; at_ms < end_ms;) {
      const std::int64_t start_ms = at_ms / width_ms * width_ms;
      const double seconds = static_cast<double>(std::min(end_ms, start_ms + width_ms) - at_ms) / 1e3;
      buckets[start_ms].seconds += seconds;
      integral[start_ms] += before->second * seconds;
      at_ms = start_ms + width_ms;
    }
  };
  for (const auto& [stamp_ms, bits] : points) {
    const auto value = std::bit_cast<double>(bits);
    if (std::isnan(value)) continue;
    stand(stamp_ms);
    Bucket& bucket = buckets[stamp_ms / width_ms * width_ms];
    bucket.min = bucket.count > 0 ? std::min(bucket.min, value) : value;
    bucket.max = bucket.count > 0 ? std::max(bucket.max, value) : value;
    bucket.last = value;
    ++bucket.count;
    if (counter && before) bucket.increase += value >= before->second ? value - before->second : value;
    before = {stamp_ms, value};
  }
  stand(INT64_MAX);
  for (auto& [start_ms, bucket] : buckets)
    bucket.mean = integral[start_ms] / bucket.seconds;
  return buckets;
}

struct Read {
  std::vector<StoredSeries> series;
  std::vector<std::vector<Bucket>> buckets;
};

Read read_buckets(const std::filesystem::path& path, Resolution resolution) {
  auto connection = open_database_read_only(path, history_format);
  REQUIRE(connection);
  HistoryReader reader(*connection);
  auto series = reader.series("");
  REQUIRE(series);
  std::vector<std::int64_t> ids;
  for (const auto& each : *series)
    ids.push_back(each.id);
  auto buckets = reader.buckets(ids, {}, resolution, 1 << 22);
  REQUIRE(buckets);
  return {std::move(*series), std::move(*buckets)};
}

}  // namespace

TEST_CASE("sealing: a random history with restarts is read back bit for bit, sealed or not") {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    CAPTURE(seed);
    Scratch scratch;
    const auto path = scratch / "history.db";
    RandomHistory history(seed, 4, 10'000);
    auto store = open_store(path);
    for (int n = 0; n < 150; ++n) {
      if (history.random()() % 40 == 0) {
        store.reset();
        store = open_store(path);
        history.restart();
      }
      const Frame frame = history.next_frame(history.random()() % 12);
      REQUIRE(store->append(frame));
      history.expect(frame);
      if (history.random()() % 3 == 0) REQUIRE(store->seal());
      if (n % 50 == 10) CHECK(read_all(*store) == history.cells());
    }
    seal_all(*store);
    CHECK(read_all(*store) == history.cells());
    CHECK(store->undecodable() == 0);
    CHECK(store->size()->refused_samples == 0);
    CHECK(number(path, "SELECT count(*) FROM chunk") > 20);
    // Rows of the tail are overwritten, not added: it has two slots and what sealing waits for.
    CHECK(number(path, "SELECT count(*) FROM tail") < 60);
    CHECK(number(path, "SELECT count(*) FROM roll_1m") == number(path, "SELECT count(*) FROM chunk"));

    Selection part;
    part.from_ms = history_start_ms + 1'000'500;
    part.to_ms = history_start_ms + 3'100'000;
    CHECK(read_all(*store, part) == only_from(history.cells(), part.from_ms, part.to_ms));
    auto reader = open_database_read_only(path, history_format);
    REQUIRE(reader);
    CHECK(*reader->text("PRAGMA integrity_check") == "ok");
  }
}

TEST_CASE("sealing: minutes and hours match their samples, also over restarts") {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    CAPTURE(seed);
    Scratch scratch;
    const auto path = scratch / "history.db";
    RandomHistory history(seed, 3, 10'000);
    auto store = open_store(path);
    for (int n = 0; n < 120; ++n) {
      if (n % 37 == 36) {
        store.reset();
        store = open_store(path);
        history.restart();
      }
      const Frame frame = history.next_frame(10);
      REQUIRE(store->append(frame));
      history.expect(frame);
      REQUIRE(store->seal());
    }
    seal_all(*store);
    std::set<std::string> any_bits;
    for (const std::uint32_t group : {0U, 1U, 2U})
      any_bits.insert(identity(describe_series(group * 100 + 5)));
    for (const auto& [resolution, width_ms] :
         {std::pair(Resolution::minute, minute_ms), std::pair(Resolution::hour, hour_ms)}) {
      const Read read = read_buckets(path, resolution);
      std::size_t compared = 0;
      for (std::size_t s = 0; s < read.series.size(); ++s) {
        const SeriesDescription& series = read.series[s].description;
        const bool counter = series.kind == Kind::counter;
        const auto& points = history.cells().at(identity(series));
        const auto expected = expected_buckets(points, 10'000, width_ms, counter);
        for (const Bucket& bucket : read.buckets[s]) {
          // The newest sample still holds.
          if (bucket.count == 0 || bucket.start_ms + width_ms > points.rbegin()->first) continue;
          const Bucket& wanted = expected.at(bucket.start_ms);
          ++compared;
          CHECK(bucket.min == wanted.min);
          CHECK(bucket.max == wanted.max);
          CHECK(bucket.last == wanted.last);
          CHECK(bucket.count == wanted.count);
          CHECK(bucket.seconds == doctest::Approx(wanted.seconds).epsilon(1e-6));
          if (any_bits.contains(identity(series))) continue;  // only the checks above are exact
          CHECK(bucket.increase == doctest::Approx(wanted.increase).epsilon(1e-9));
          if (!counter) CHECK(bucket.mean == doctest::Approx(wanted.mean).epsilon(1e-5));
        }
      }
      CHECK(compared > 100);
    }
  }
}

TEST_CASE("sealing: every group is sealed, each slot once, and no waiting row is left") {
  Scratch scratch;
  const auto path = scratch / "history.db";
  RandomHistory history(3, 40, 30'000);
  auto store = open_store(path);
  std::size_t calls = 0;
  for (int n = 0; n < 400; ++n) {
    const Frame frame = history.next_frame(1);
    REQUIRE(store->append(frame));
    history.expect(frame);
    auto more = store->seal();
    REQUIRE(more);
    ++calls;
  }
  seal_all(*store);
  CHECK(read_all(*store) == history.cells());
  const std::int64_t newest = slot_of(history.now_ms());
  CHECK(number(path, fmt::format("SELECT count(*) FROM grp WHERE sealed > 0 AND closed_seq IS NULL AND sealed < {}",
                                 newest - 1)) == 0);
}

TEST_CASE("retention: by age, each resolution has its own limit and loses a slot at a time") {
  Scratch scratch;
  const auto path = scratch / "history.db";
  RandomHistory history(9, 4, 10'000);
  auto store = open_store(path);
  std::int64_t newest_ms = 0;
  for (int n = 0; n < 600; ++n) {
    const Frame frame = history.next_frame(6);
    REQUIRE(store->append(frame));
    history.expect(frame);
    newest_ms = frame.ticks.back().wall_ms;
    seal_all(*store);
  }
  RetentionLimits limits;
  limits.raw_from_ms = history_start_ms + 5 * hour_ms;
  limits.minute_from_ms = history_start_ms + 3 * hour_ms;
  limits.hour_from_ms = history_start_ms + 2 * hour_ms;
  const RetentionPolicy policy{newest_ms - limits.raw_from_ms, newest_ms - limits.minute_from_ms,
                               newest_ms - limits.hour_from_ms, 0};
  int calls = 0;
  for (;; ++calls) {
    const std::int64_t chunks = number(path, "SELECT count(DISTINCT k >> 24) FROM chunk");
    auto more = store->retain(policy);
    REQUIRE(more);
    CHECK(chunks - number(path, "SELECT count(DISTINCT k >> 24) FROM chunk") <= 1);
    if (!*more) break;
  }
  CHECK(calls > 10);
  const Cells left = read_all(*store);
  CHECK(only_from(left, limits.raw_from_ms) == only_from(history.cells(), limits.raw_from_ms));
  CHECK(only_from(left, INT64_MIN, limits.raw_from_ms - slot_ms).empty());
  CHECK(number(path, "SELECT min(k) >> 24 FROM roll_1m") == slot_of(limits.minute_from_ms));
  CHECK(number(path, "SELECT min(start_s) FROM roll_1h") == limits.hour_from_ms / hour_ms * hour_ms / 1000);
  CHECK(store->size()->expired_samples == count_points(history.cells()) - count_points(left));
  CHECK(*store->retain(policy) == false);
}

TEST_CASE("retention: by size, file and log fit, each resolution has its share, identities go with their data") {
  Scratch scratch;
  const auto path = scratch / "history.db";
  auto store = open_store(path);
  RandomHistory history(10, 4, 10'000);
  constexpr std::int64_t bytes_max = 1200 * 1024;
  for (int n = 0; n < 4000; ++n) {
    const Frame frame = history.next_frame(3);
    REQUIRE(store->append(frame));
    history.expect(frame);
    REQUIRE(store->seal());
    for (int call = 0; call < 4 && *store->retain(size_limit(bytes_max)); ++call) {
    }
    if (n > 10) REQUIRE(store->size()->bytes <= bytes_max);
  }
  const Cells left = read_all(*store);
  REQUIRE(count_points(left) > 1000);
  const std::int64_t oldest_ms = store->size()->oldest_ms;
  CHECK(left == only_from(history.cells(), oldest_ms));
  const double raw = static_cast<double>(number(path, "SELECT sum(length(d)) FROM chunk"));
  const double minutes = static_cast<double>(number(path, "SELECT sum(length(d)) FROM roll_1m"));
  CHECK(raw / (raw + minutes) > 0.5);
  CHECK(minutes / (raw + minutes) > 0.25);
  CHECK(number(path, "SELECT count(*) FROM roll_1h") > 0);
  // grp rows without data are deleted.
  CHECK(number(path, "SELECT count(*) FROM grp WHERE sealed > 0 AND sealed <= (SELECT min(k) >> 24 FROM chunk)") <= 4);
  CHECK(*open_database_read_only(path, history_format)->text("PRAGMA integrity_check") == "ok");

  // A smaller limit shrinks the file, step by step.
  while (*store->retain(size_limit(600 * 1024))) {
  }
  CHECK(number(path, "PRAGMA page_count") * 4096 <= 450 * 1024);
  CHECK(only_from(history.cells(), store->size()->oldest_ms) == read_all(*store));
}

TEST_CASE("retention: with a limit too small for any data everything expires, and the store still appends") {
  Scratch scratch;
  auto store = open_store(scratch / "history.db");
  RandomHistory history(11, 2, 10'000);
  for (int n = 0; n < 200; ++n) {
    const Frame frame = history.next_frame(2);
    REQUIRE(store->append(frame));
    history.expect(frame);
    REQUIRE(store->seal());
  }
  while (*store->retain(size_limit(1))) {
  }
  CHECK(read_all(*store).empty());
  CHECK(store->size()->expired_samples == count_points(history.cells()));  // sealed or not
  CHECK(store->size()->oldest_ms == 0);
  const Frame frame = history.next_frame(5);
  REQUIRE(store->append(frame));
  RandomHistory fresh(0);
  fresh.expect(frame);
  CHECK(read_all(*store) == fresh.cells());
}

TEST_CASE("retention: series that come and go do not fill the file") {
  Scratch scratch;
  const auto path = scratch / "history.db";
  auto store = open_store(path);
  for (std::uint32_t n = 0; n < 400; ++n) {
    if (n % 10 == 0) {
      store.reset();  // numbers are valid for one process
      store = open_store(path);
    }
    Frame frame;
    const std::int64_t wall_ms = history_start_ms + n * 300'000;
    frame.groups = {{GroupId{n}, "pods", fmt::format("pod-{}", n), 60'000}};
    frame.series = {describe_series(n)};
    for (int tick = 0; tick < 5; ++tick)
      frame.ticks.push_back({GroupId{n}, wall_ms + tick * 60'000, {{SeriesId{n}, 1.0 * tick}}});
    REQUIRE(store->append(frame));
    seal_all(*store);
    while (*store->retain({2 * hour_ms, 2 * hour_ms, 2 * hour_ms, 0})) {
    }
  }
  CHECK(number(path, "SELECT count(*) FROM series") < 60);
  CHECK(number(path, "SELECT count(*) FROM grp") < 60);
}

TEST_CASE("retention: a grp row that reuses the id of a deleted one has its own series") {
  Scratch scratch;
  const auto path = scratch / "history.db";
  const auto frame_of = [](std::uint32_t id, std::int64_t wall_ms, bool describe) {
    Frame frame;
    if (describe) {
      frame.groups = {{GroupId{id}, "pods", fmt::format("pod-{}", id), 60'000}};
      frame.series = {describe_series(id)};
    }
    frame.ticks = {{GroupId{id}, wall_ms, {{SeriesId{id}, 1.0 * id}}}};
    return frame;
  };
  auto store = open_store(path);
  REQUIRE(store->append(frame_of(1, history_start_ms, true)));
  REQUIRE(store->append(frame_of(2, history_start_ms, true)));
  store = open_store(path);
  // The new process seals the second group but never samples it.
  std::int64_t at_ms = history_start_ms + 60'000;
  for (bool first = true; at_ms < history_start_ms + 6 * hour_ms; at_ms += 60'000, first = false) {
    REQUIRE(store->append(frame_of(1, at_ms, first)));
    seal_all(*store);
    while (*store->retain({hour_ms, hour_ms, hour_ms, 0})) {
    }
  }
  REQUIRE(number(path, "SELECT max(id) FROM grp") == 1);
  Frame wider = frame_of(3, at_ms, true);
  wider.series.push_back(describe_series(4));
  wider.ticks[0].samples.push_back({SeriesId{4}, 4.0});
  REQUIRE(store->append(wider));
  REQUIRE(number(path, "SELECT max(id) FROM grp") == 2);
  REQUIRE(store->append(frame_of(1, at_ms + hour_ms, false)));
  seal_all(*store);
  const Read read = read_buckets(path, Resolution::hour);
  REQUIRE(read.series.size() == 3);
  for (const auto& buckets : read.buckets)
    CHECK(buckets.size() >= 1);
}

TEST_CASE("sealing: a version 1 file is migrated and sealed, and nothing of it is lost") {
  Scratch scratch;
  const auto path = scratch / "history.db";
  Cells expected;
  std::vector<std::vector<std::int64_t>> rows;
  for (std::int64_t n = 0; n < 500; ++n)
    rows.push_back({history_start_ms + n * 10'000, history_start_ms + n * 10'000 + 5'000});
  write_version_1(path, rows, expected);
  CHECK_FALSE(SqliteStore::open_read_only(path));
  auto store = open_store(path);
  CHECK(read_all(*store) == expected);
  Frame frame;
  frame.groups = {{GroupId{0}, "nvml", "GPU-0", 10'000}};
  frame.series = {describe_series(1)};
  frame.ticks = {{GroupId{0}, history_start_ms + 10'000'000, {{SeriesId{1}, 3.25}}}};
  REQUIRE(store->append(frame));
  expected[identity(describe_series(1))][history_start_ms + 10'000'000] = std::bit_cast<std::uint64_t>(3.25);
  CHECK(read_all(*store) == expected);
  seal_all(*store);
  CHECK(read_all(*store) == expected);
  CHECK(number(path, "SELECT count(*) FROM chunk") == 6);
  CHECK(number(path, "SELECT count(*) FROM tail") == 1);
}

}  // namespace perjoule::storage
