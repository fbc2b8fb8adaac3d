// End marks: they keep their bits on every way through the store, a killed run is ended at the next start, and roll-ups
// do not see them.
#include "storage/history/end_marks.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "storage/history/history_reader.hpp"
#include "storage/history/sqlite_store.hpp"
#include "tests/unit/storage/history/history_file.hpp"
#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

namespace {

constexpr std::int64_t start_ms = history_start_ms;
constexpr GroupId probe{1};
constexpr GroupId ends{2};

// Two groups of a probe's and the daemon's ends; series 1 is a gauge with a step, series 2 a counter.
Frame described() {
  Frame frame;
  frame.groups = {{probe, "nvml", "GPU-1", 1000}, {ends, std::string(ends_source), std::string(ends_device), 1}};
  frame.series = {{SeriesId{1}, "perjoule_power_watts", "", Unit::watt, Kind::gauge, 0.1},
                  {SeriesId{2}, "perjoule_energy_joules_total", "", Unit::joule, Kind::counter, 0}};
  return frame;
}

void sample(Frame& frame, std::int64_t from_s, std::int64_t to_s) {
  for (std::int64_t second = from_s; second < to_s; ++second) {
    const auto joules = static_cast<double>(second) * 100;
    frame.ticks.push_back({probe, start_ms + second * 1000, {{SeriesId{1}, 100}, {SeriesId{2}, joules}}});
  }
}

void end(Frame& frame, std::int64_t wall_ms, std::initializer_list<std::uint32_t> series) {
  Tick tick{ends, wall_ms, {}};
  for (const std::uint32_t id : series)
    tick.samples.push_back({SeriesId{id}, end_mark});
  frame.ticks.push_back(std::move(tick));
}

// The times of the end marks of every series, by metric.
std::map<std::string, std::vector<std::int64_t>> marks(Store& store) {
  std::map<std::string, std::vector<std::int64_t>> found;
  REQUIRE(store.read({}, [&](const SeriesDescription& series, const std::vector<Point>& points) {
    for (const Point& point : points) {
      if (is_end_mark(point.value)) found[series.metric].push_back(point.wall_ms - start_ms);
    }
    return true;
  }));
  return found;
}

using Marks = std::map<std::string, std::vector<std::int64_t>>;

Marks both(std::vector<std::int64_t> times) {
  return {{"perjoule_power_watts", times}, {"perjoule_energy_joules_total", times}};
}

std::vector<std::vector<Bucket>> buckets(const std::filesystem::path& path, Resolution resolution) {
  auto connection = open_history(path);
  REQUIRE(connection);
  HistoryReader reader(*connection);
  const std::int64_t ids[] = {1, 2};
  auto read = reader.buckets(ids, {}, resolution, 100'000);
  REQUIRE(read);
  return *read;
}

}  // namespace

TEST_CASE("end marks: they keep their bits unsealed and sealed, also beside values with a step") {
  const Scratch scratch;
  auto store = open_store(scratch / "history.db");
  Frame frame = described();
  sample(frame, 0, 60);
  end(frame, start_ms + 70'000, {1, 2});
  REQUIRE(store->append(frame));
  CHECK(marks(*store) == both({70'000}));
  // A probe may have the mark in its own group too, where a column has a step.
  Frame later;
  later.ticks.push_back({probe, start_ms + 80'000, {{SeriesId{1}, end_mark}, {SeriesId{2}, 1}}});
  sample(later, 3600, 3660);
  REQUIRE(store->append(later));
  seal_all(*store);
  CHECK(number(scratch / "history.db", "SELECT count(*) FROM chunk") == 2);
  CHECK(marks(*store) == Marks{{"perjoule_power_watts", {70'000, 80'000}}, {"perjoule_energy_joules_total", {70'000}}});
}

TEST_CASE("end marks: a sample in the millisecond of a mark hides the mark") {
  for (const bool ends_first : {false, true}) {
    const Scratch scratch;
    auto store = open_store(scratch / "history.db");
    Frame frame = described();
    if (ends_first) std::swap(frame.groups[0], frame.groups[1]);
    sample(frame, 0, 5);
    end(frame, start_ms + 5'000, {1, 2});
    sample(frame, 5, 6);
    REQUIRE(store->append(frame));
    for (const bool sealed : {false, true}) {
      if (sealed) seal_all(*store);
      CHECK(marks(*store).empty());
      std::size_t points_read = 0;
      REQUIRE(store->read({}, [&](const SeriesDescription&, const std::vector<Point>& points) {
        points_read += points.size();
        return true;
      }));
      CHECK(points_read == 2 * 6);
    }
  }
}

TEST_CASE("end marks: the series of a run that was killed end right after its newest sample, once") {
  const Scratch scratch;
  {
    auto store = open_store(scratch / "history.db");
    REQUIRE(store->end_previous_run());  // there is none
    Frame frame = described();
    frame.groups.push_back({GroupId{3}, "rapl", "package-0", 1000});
    frame.series.push_back({SeriesId{3}, "perjoule_old", "", Unit::none, Kind::gauge, 0});
    frame.ticks.push_back({GroupId{3}, start_ms, {{SeriesId{3}, 1}}});
    REQUIRE(store->append(frame));
    Frame later;
    sample(later, 0, 400);
    REQUIRE(store->append(later));
  }
  for (int start = 0; start < 3; ++start) {
    auto store = open_store(scratch / "history.db");
    REQUIRE(store->end_previous_run());
    CHECK(marks(*store) == both({399'001}));  // the third series had its last sample more than five minutes before
  }
}

TEST_CASE("end marks: a run that was stopped has ended its series itself; the next may be killed") {
  const Scratch scratch;
  {
    auto store = open_store(scratch / "history.db");
    Frame frame = described();
    sample(frame, 0, 10);
    end(frame, start_ms + 9'500, {1, 2});
    REQUIRE(store->append(frame));
  }
  {
    auto store = open_store(scratch / "history.db");
    REQUIRE(store->end_previous_run());
    CHECK(marks(*store) == both({9'500, 9'501}));
    Frame frame = described();
    sample(frame, 20, 30);
    REQUIRE(store->append(frame));
  }
  auto store = open_store(scratch / "history.db");
  REQUIRE(store->end_previous_run());
  CHECK(marks(*store) == both({9'500, 9'501, 29'001}));
}

TEST_CASE("end marks: a kill right after the end of one series ends the others too") {
  const Scratch scratch;
  {
    auto store = open_store(scratch / "history.db");
    Frame frame = described();
    sample(frame, 0, 10);
    end(frame, start_ms + 9'500, {1});
    REQUIRE(store->append(frame));
  }
  for (int start = 0; start < 2; ++start) {
    auto store = open_store(scratch / "history.db");
    REQUIRE(store->end_previous_run());
    auto found = marks(*store);
    CHECK(found.size() == 2);
    for (const auto& [metric, stamps] : found)
      CHECK(stamps.back() == 9'501);
  }
}

TEST_CASE("end marks: a killed run of thousands of series, in groups of which one has been sealed long ago") {
  const Scratch scratch;
  constexpr std::uint32_t count = 3000;
  {
    auto store = open_store(scratch / "history.db");
    Frame frame = described();
    sample(frame, 0, 1);
    Tick many{GroupId{7}, start_ms + 7'200'000, {}};
    frame.groups.push_back({GroupId{7}, "textfile", "a", 15'000});
    for (std::uint32_t id = 10; id < 10 + count; ++id) {
      frame.series.push_back({SeriesId{id}, "perjoule_many", "k=\"" + std::to_string(id) + "\"", {}, {}, 0});
      many.samples.push_back({SeriesId{id}, 1});
    }
    frame.ticks.push_back(many);
    REQUIRE(store->append(frame));
    seal_all(*store);
  }
  auto store = open_store(scratch / "history.db");
  REQUIRE(store->end_previous_run());
  const auto found = marks(*store);
  REQUIRE(found.size() == 1);
  CHECK(found.at("perjoule_many") == std::vector<std::int64_t>(count, 7'200'001));
}

TEST_CASE("end marks: roll-ups are those of the samples alone, sealed and unsealed") {
  const auto rolled = [](bool marked, bool sealed, Resolution resolution) {
    const Scratch scratch;
    auto store = open_store(scratch / "history.db");
    Frame frame = described();
    sample(frame, 0, 330);
    if (marked) end(frame, start_ms + 330'000, {1, 2});
    sample(frame, 600, 1000);
    if (marked) end(frame, start_ms + 1'000'000, {1, 2});
    sample(frame, 1300, 1400);
    if (sealed) frame.ticks.push_back({probe, start_ms + 7'200'000, {{SeriesId{1}, 1}, {SeriesId{2}, 200'000}}});
    REQUIRE(store->append(frame));
    seal_all(*store);
    store.reset();  // what memory carries from slot to slot is read from the file
    store = open_store(scratch / "history.db");
    Frame more = described();
    sample(more, 9000, 9100);
    REQUIRE(store->append(more));
    seal_all(*store);
    return buckets(scratch / "history.db", resolution);
  };
  for (const bool sealed : {false, true}) {
    for (const Resolution resolution : {Resolution::minute, Resolution::hour}) {
      const auto with = rolled(true, sealed, resolution);
      const auto without = rolled(false, sealed, resolution);
      REQUIRE(with.size() == without.size());
      for (std::size_t s = 0; s < with.size(); ++s) {
        REQUIRE(with[s].size() == without[s].size());
        for (std::size_t n = 0; n < with[s].size(); ++n) {
          const Bucket& a = with[s][n];
          const Bucket& b = without[s][n];
          CHECK(a.start_ms == b.start_ms);
          CHECK(a.min == b.min);
          CHECK(a.max == b.max);
          CHECK(a.last == b.last);
          CHECK(a.count == b.count);
          CHECK((a.mean == b.mean || (std::isnan(a.mean) && std::isnan(b.mean))));
          CHECK(a.seconds == b.seconds);
          CHECK(a.increase == b.increase);
        }
      }
    }
  }
}

TEST_CASE("presence: a series is listed only for ranges in which it has samples") {
  const Scratch scratch;
  auto store = open_store(scratch / "history.db");
  Frame frame = described();
  sample(frame, 0, 60);  // both
  end(frame, start_ms + 70'000, {1});
  for (std::int64_t second = 60; second < 4000; ++second)
    frame.ticks.push_back({probe, start_ms + second * 1000, {{SeriesId{2}, 1}}});
  REQUIRE(store->append(frame));
  const auto present = [&](std::int64_t from_s, std::int64_t to_s) {
    auto connection = open_history(scratch / "history.db");
    REQUIRE(connection);
    const std::int64_t ids[] = {1, 2};
    auto found = HistoryReader(*connection).present(ids, {start_ms + from_s * 1000, start_ms + to_s * 1000});
    REQUIRE(found);
    return std::vector<int>(found->begin(), found->end());
  };
  const auto check = [&] {
    CHECK(present(0, 10) == std::vector{1, 1});
    CHECK(present(59, 200) == std::vector{1, 1});
    CHECK(present(60, 200) == std::vector{1, 1});  // the end mark, as in Prometheus
    CHECK(present(71, 200) == std::vector{0, 1});
    CHECK(present(3999, 9000) == std::vector{0, 1});
    CHECK(present(4000, 9000) == std::vector{0, 0});
    CHECK(present(-100, -1) == std::vector{0, 0});
  };
  check();
  seal_all(*store);
  CHECK(number(scratch / "history.db", "SELECT count(*) FROM chunk") > 2);
  check();
}

}  // namespace perjoule::storage
