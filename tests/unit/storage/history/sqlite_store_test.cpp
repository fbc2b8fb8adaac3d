#include "storage/history/sqlite_store.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "tests/unit/storage/history/history.hpp"
#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

namespace {

constexpr std::int64_t now_ms = 1795515072000;

std::unique_ptr<SqliteStore> open_store(const std::filesystem::path& path) {
  Notes notes;
  auto store = SqliteStore::open(path, now_ms, notes);
  REQUIRE(store);
  for (const auto& note : notes)
    FAIL_CHECK(note);
  return std::move(*store);
}

}  // namespace

TEST_CASE("store: a random history in random frames, with restarts, is read back bit for bit") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    Scratch scratch;
    RandomHistory history(seed);
    auto store = open_store(scratch / "history.db");
    for (int n = 0; n < 60; ++n) {
      if (history.random()() % 15 == 0) {
        store.reset();
        store = open_store(scratch / "history.db");
        history.restart();
      }
      const Frame frame = history.next_frame(history.random()() % 12);
      REQUIRE(store->append(frame));
      history.expect(frame);
    }
    CHECK(read_all(*store) == history.cells());
    CHECK(store->undecodable() == 0);
    auto size = store->size();
    REQUIRE(size);
    CHECK(size->series == static_cast<std::int64_t>(history.cells().size()));
    CHECK(size->oldest_ms >= history_start_ms);
    CHECK(size->oldest_ms < history_start_ms + 20000);

    Selection part;
    part.from_ms = history_start_ms + 50500;
    part.to_ms = history_start_ms + 120000;
    CHECK(read_all(*store, part) == only_from(history.cells(), part.from_ms, part.to_ms));
  }
}

TEST_CASE("store: a group that does not change gets no new grp row, not even after restarts") {
  Scratch scratch;
  const auto path = scratch / "history.db";
  Frame frame;
  frame.groups = {{GroupId{7}, "rapl", "package-0", 1000}};
  for (std::uint32_t id = 0; id < 3; ++id)
    frame.series.push_back(describe_series(id));
  for (int start = 0; start < 3; ++start) {
    auto store = open_store(path);
    for (int n = 0; n < 5; ++n) {
      Frame next = n == 0 ? frame : Frame{};
      next.ticks = {{GroupId{7}, history_start_ms + (start * 10 + n) * 1000, {{SeriesId{0}, 1.5}, {SeriesId{1}, 2.5}}}};
      if (n % 2 == 0 && start == 0) next.ticks[0].samples.push_back({SeriesId{2}, 3.5});
      REQUIRE(store->append(next));
    }
  }
  auto reader = open_database_read_only(path, history_format);
  REQUIRE(reader);
  CHECK(*reader->integer("SELECT count(*) FROM grp") == 1);
  CHECK(*reader->integer("SELECT count(*) FROM tail") == 15);
}

TEST_CASE("store: selection by metric and labels") {
  Scratch scratch;
  auto store = open_store(scratch / "history.db");
  RandomHistory history(5);
  const Frame frame = history.next_frame(10);
  REQUIRE(store->append(frame));
  Selection selection;
  selection.metric = "perjoule_gpu_energy_joules_total";
  for (const auto& [name, points] : read_all(*store, selection))
    CHECK(name.starts_with(selection.metric + "{"));
  CHECK(read_all(*store, selection).size() > 5);
  selection = {};
  selection.labels = {{"gpu", "101"}};
  CHECK(read_all(*store, selection).size() == 1);
  selection.labels = {{"name", "a\\b\"c"}, {"gpu", "102"}};
  CHECK(read_all(*store, selection).size() == 1);
  selection.labels = {{"gpu", "101"}, {"gpu", "102"}};
  CHECK(read_all(*store, selection).empty());
  selection.labels = {{"gpu", "101"}, {"absent", ""}};
  CHECK(read_all(*store, selection).size() == 1);
  selection.labels = {{"pu", "101"}};
  CHECK(read_all(*store, selection).empty());
  int calls = 0;
  REQUIRE(store->read({}, [&](const SeriesDescription&, const std::vector<Point>&) { return ++calls < 3; }));
  CHECK(calls == 3);
}

TEST_CASE("store: a tick of an undescribed series is an error that stores nothing; described, it can be retried") {
  Scratch scratch;
  auto store = open_store(scratch / "history.db");
  Frame frame;
  frame.groups = {{GroupId{1}, "rapl", "package-0", 1000}};
  frame.series = {describe_series(1)};
  frame.ticks = {{GroupId{1}, history_start_ms, {{SeriesId{1}, 1}, {SeriesId{2}, 2}}}};
  CHECK_FALSE(store->append(frame));
  CHECK(store->size()->series == 0);
  CHECK(store->size()->tail_rows == 0);
  frame.series.push_back(describe_series(2));
  REQUIRE(store->append(frame));
  CHECK(count_points(read_all(*store)) == 2);
  Frame unknown;
  unknown.ticks = {{GroupId{9}, history_start_ms, {{SeriesId{1}, 1}}}};
  CHECK_FALSE(store->append(unknown));
}

TEST_CASE("store: late samples are refused and counted; after the clock was set back, samples are stored again") {
  Scratch scratch;
  auto store = open_store(scratch / "history.db");
  Frame frame;
  frame.groups = {{GroupId{1}, "rapl", "package-0", 1000}};
  frame.series = {describe_series(1)};
  Cells expected;
  // Back by 52 s: late. Back by 100 s: a clock step. Both sequences are stored; of two samples at 101 one is read back.
  for (std::int64_t second : {100, 101, 102, 50, 102, 2, 3, 2, 101, 103, 104}) {
    frame.ticks = {{GroupId{1}, 1'000'000'000 + second * 1000, {{SeriesId{1}, static_cast<double>(second)}}}};
    REQUIRE(store->append(frame));
    expected[identity(describe_series(1))][frame.ticks[0].wall_ms] =
        std::bit_cast<std::uint64_t>(static_cast<double>(second));
    frame.series.clear();
    frame.groups.clear();
  }
  expected[identity(describe_series(1))].erase(1'000'000'000 + 50'000);
  CHECK(read_all(*store) == expected);
  CHECK(store->size()->refused_samples == 3);
  auto reader = open_database_read_only(scratch / "history.db", history_format);
  REQUIRE(reader);
  CHECK(*reader->integer("SELECT count(*) FROM grp") == 2);
  CHECK(*reader->integer("SELECT count(*) FROM grp WHERE closed_seq IS NULL") == 1);
}

TEST_CASE("store: the clock may go back in the middle of a frame") {
  Scratch scratch;
  auto store = open_store(scratch / "history.db");
  Frame frame;
  frame.groups = {{GroupId{1}, "rapl", "package-0", 1000}};
  frame.series = {describe_series(1)};
  for (std::int64_t second : {5000, 5001, 100, 101, 4, 5})
    frame.ticks.push_back({GroupId{1}, second * 1000, {{SeriesId{1}, static_cast<double>(second)}}});
  REQUIRE(store->append(frame));
  CHECK(count_points(read_all(*store)) == 6);
  CHECK(store->size()->refused_samples == 0);
}

TEST_CASE("store: a frame that cannot be decoded is left out and counted") {
  Scratch scratch;
  const auto path = scratch / "history.db";
  RandomHistory history(3, 1);
  {
    auto store = open_store(path);
    for (int n = 0; n < 5; ++n) {
      const Frame frame = history.next_frame(5);
      REQUIRE(store->append(frame));
      if (n != 2) history.expect(frame);
    }
  }
  REQUIRE(Connection::open(path, Connection::Mode::read_write)
              ->run("UPDATE tail SET d = x'01027f' WHERE number % 4294967296 = 2"));
  auto store = open_store(path);
  CHECK(read_all(*store) == history.cells());
  CHECK(store->undecodable() == 1);
}

TEST_CASE("store: a reader works beside the writer and after it") {
  Scratch scratch;
  const auto path = scratch / "history.db";
  RandomHistory history(4);
  auto store = open_store(path);
  const Frame frame = history.next_frame(5);
  REQUIRE(store->append(frame));
  history.expect(frame);
  auto reader = SqliteStore::open_read_only(path);
  REQUIRE(reader);
  CHECK(read_all(**reader) == history.cells());
  CHECK_FALSE((*reader)->append(frame));
  CHECK_FALSE((*reader)->seal());
  CHECK_FALSE((*reader)->retain({}));
  REQUIRE(store->append(history.next_frame(1)));
  CHECK((*reader)->size()->tail_rows == 2);
  store.reset();
  auto later = SqliteStore::open_read_only(path);
  REQUIRE(later);
  CHECK((*later)->size()->tail_rows == 2);
  CHECK_FALSE(SqliteStore::open_read_only(scratch / "none.db"));
  CHECK_FALSE(std::filesystem::exists(scratch / "none.db"));
}

TEST_CASE("store: a full disk is an error that stores nothing; with free space the retry succeeds") {
  SmallDisk disk("2m");
  if (!disk) return;
  auto store = open_store(disk / "history.db");
  RandomHistory history(6);
  Frame frame = history.next_frame(5);
  REQUIRE(store->append(frame));
  history.expect(frame);
  disk.fill();
  int failed = 0;
  for (int n = 0; n < 400 && failed < 5; ++n) {
    if (failed == 0) frame = history.next_frame(20);
    auto appended = store->append(frame);
    if (!appended) {
      ++failed;
      CHECK(appended.error().fault == Fault::transient);
      CHECK(appended.error().remedy.find("free space") != std::string::npos);
    } else {
      history.expect(frame);
    }
  }
  CHECK(failed == 5);
  disk.make_room();
  REQUIRE(store->append(frame));
  history.expect(frame);
  CHECK(read_all(*store) == history.cells());
}

}  // namespace perjoule::storage
