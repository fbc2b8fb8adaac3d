#include "daemon/query/history_source.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "daemon/query/evaluate/window.hpp"
#include "tests/unit/daemon/query/recording.hpp"

namespace perjoule::query {
namespace {

using storage::Bucket;
using storage::hour_ms;
using storage::minute_ms;

constexpr std::int64_t day_ms = 24 * hour_ms;

bool same(const std::vector<storage::Point>& points, const std::vector<storage::Point>& expected) {
  return std::equal(points.begin(), points.end(), expected.begin(), expected.end(),
                    [](const auto& a, const auto& b) { return a.wall_ms == b.wall_ms && a.value == b.value; });
}

// The request of the evaluator for one selector on a grid.
Want want_of(Grid grid, std::int64_t window_ms = 0, Aspect aspect = Aspect::last) {
  Want want;
  want.from_ms = grid.from_ms - (window_ms > 0 ? window_ms : lookback_ms);
  want.to_ms = grid.to_ms;
  want.step_ms = grid.steps() > 1 ? grid.step_ms : 0;
  want.window_ms = window_ms;
  want.aspect = aspect;
  want.series_max = 100;
  want.samples_max = 1'000'000;
  return want;
}

struct Opened {
  explicit Opened(const std::filesystem::path& file) {
    auto opened = storage::open_history(file);
    REQUIRE(opened);
    connection = std::make_unique<storage::Connection>(std::move(*opened));
    source = std::make_unique<HistorySource>(*connection);
  }
  // Selects the counter for Aspect::last, otherwise the gauge, because counters have no mean.
  Selected select(Want want) const {
    const std::string_view name =
        want.aspect == Aspect::last ? "perjoule_test_energy_joules_total" : "perjoule_test_power_watts";
    const auto matcher = make_matcher(MatchType::equal, "__name__", std::string(name));
    REQUIRE(matcher);
    want.matchers = std::span(&*matcher, 1);
    auto selected = source->select(want);
    REQUIRE(selected);
    return std::move(*selected);
  }
  // "raw", "minute" or "hour", with ", nothing" if there is no series.
  std::string resolution(const Want& want) const {
    const Selected selected = select(want);
    if (selected.warning.empty()) return selected.series.empty() ? "raw, nothing" : "raw";
    const std::string words = selected.warning.substr(std::string("answered from ").size());
    return words.substr(0, words.find(' ')) + (selected.series.empty() ? ", nothing" : "");
  }
  std::unique_ptr<storage::Connection> connection;
  std::unique_ptr<HistorySource> source;
};

TEST_CASE("history source: series that ended long before the range do not count against the limit") {
  const storage::Scratch scratch;
  const auto file = scratch / "history.db";
  storage::Notes notes;
  auto store = storage::SqliteStore::open(file, begin_ms, notes);
  REQUIRE(store);
  storage::Frame frame;
  for (std::uint32_t id = 0; id < 20; ++id) {
    const std::string labels = "gpu=\"" + std::to_string(id) + "\"";
    frame.groups.push_back({storage::GroupId{id}, "test", std::to_string(id), 1000});
    frame.series.push_back({SeriesId{id}, "perjoule_test_energy_joules_total", labels, Unit::joule, Kind::counter, 0});
    const std::int64_t at_ms = begin_ms + (id < 17 ? 0 : hour_ms);
    frame.ticks.push_back({storage::GroupId{id}, at_ms, {{SeriesId{id}, 1}}});
  }
  REQUIRE((*store)->append(frame));
  const Opened opened(file);
  Want want = want_of({begin_ms + hour_ms, begin_ms + hour_ms, 0});
  want.series_max = 5;
  CHECK(opened.select(want).series.size() == 3);
  want = want_of({begin_ms, begin_ms, 0});
  want.series_max = 5;
  const auto matcher = make_matcher(MatchType::equal, "__name__", "perjoule_test_energy_joules_total");
  want.matchers = std::span(&*matcher, 1);
  CHECK(!opened.source->select(want));
}

TEST_CASE("history source: before anything is sealed, raw samples answer ranges of up to two days") {
  const storage::Scratch scratch;
  const auto file = scratch / "history.db";
  Recording(file, 10'000).record(begin_ms, begin_ms + 10 * minute_ms);
  const Opened opened(file);
  const std::int64_t now_ms = begin_ms + 10 * minute_ms;
  CHECK(opened.resolution(want_of({now_ms, now_ms, 0})) == "raw");
  CHECK(opened.resolution(want_of({begin_ms, begin_ms, 0})) == "raw");
  CHECK(opened.resolution(want_of({begin_ms - 6 * hour_ms, now_ms, minute_ms})) == "raw");
  CHECK(opened.resolution(want_of({begin_ms - 40 * hour_ms, now_ms, hour_ms})) == "raw");
  CHECK(opened.resolution(want_of({now_ms, now_ms, 0}, hour_ms)) == "raw");
  CHECK(opened.resolution(want_of({begin_ms - 7 * day_ms, now_ms, 10 * minute_ms})) == "minute");
  CHECK(opened.resolution(want_of({now_ms - 7 * day_ms, now_ms, 2 * hour_ms})) == "minute");
  CHECK(opened.resolution(want_of({begin_ms - day_ms, begin_ms - hour_ms, minute_ms})) == "raw, nothing");
}

TEST_CASE("history source: while nothing has expired, roll-ups reach no further back than raw samples") {
  const storage::Scratch scratch;
  const auto file = scratch / "history.db";
  const std::int64_t first_ms = begin_ms + 50 * minute_ms;  // its hour and its slot begin before
  const std::int64_t now_ms = first_ms + 3 * hour_ms;
  Recording(file, 10'000).record(first_ms, now_ms);
  const Opened opened(file);
  for (const std::int64_t from_ms : {first_ms - day_ms, first_ms, begin_ms, now_ms - hour_ms}) {
    for (const std::int64_t step_ms : {std::int64_t{1'000}, minute_ms, hour_ms, 2 * hour_ms}) {
      CAPTURE(from_ms);
      CAPTURE(step_ms);
      CHECK(opened.resolution(want_of({from_ms, now_ms, step_ms})) == "raw");
    }
  }
}

// Raw samples of the last day, minutes of three and hours of five.
struct Seams {
  storage::Scratch scratch;
  std::int64_t now_ms = begin_ms + 5 * day_ms;
  std::unique_ptr<Opened> opened;
  Seams() {
    const auto file = scratch / "history.db";
    Recording recording(file, 20'000);
    recording.record(begin_ms, now_ms);
    recording.retain({.raw_ms = day_ms, .minute_ms = 3 * day_ms});
    opened = std::make_unique<Opened>(file);
  }
};

TEST_CASE_FIXTURE(Seams,
                  "history source: minutes answer ranges older than raw samples, hours ranges older than minutes") {
  const auto range = [&](std::int64_t ago_ms, std::int64_t length_ms, std::int64_t step_ms) {
    return opened->resolution(want_of({now_ms - ago_ms, now_ms - ago_ms + length_ms, step_ms}));
  };
  CHECK(range(hour_ms, hour_ms, 15'000) == "raw");
  CHECK(range(day_ms - hour_ms, day_ms - hour_ms, minute_ms) == "raw");
  CHECK(range(2 * day_ms, hour_ms, minute_ms) == "minute");
  CHECK(range(2 * day_ms, hour_ms, 2 * hour_ms) == "minute");
  CHECK(range(2 * day_ms, 2 * day_ms, hour_ms) ==
        "minute");  // a range that begins before raw samples has one resolution
  CHECK(range(3 * day_ms - hour_ms, 3 * day_ms - hour_ms, 5 * minute_ms) == "minute");
  CHECK(range(4 * day_ms, 4 * day_ms, 5 * minute_ms) == "minute");
  CHECK(range(4 * day_ms, 4 * day_ms, hour_ms) == "hour");
  CHECK(range(4 * day_ms, hour_ms, minute_ms) == "minute, nothing");
  CHECK(range(90 * day_ms, 90 * day_ms, 2 * hour_ms) == "hour");

  const auto window = [&](std::int64_t ago_ms, std::int64_t window_ms, Aspect aspect) {
    return opened->resolution(want_of({now_ms - ago_ms, now_ms - ago_ms + hour_ms, minute_ms}, window_ms, aspect));
  };
  CHECK(window(2 * day_ms, minute_ms, Aspect::mean) == "minute");
  CHECK(window(2 * day_ms, minute_ms - 1, Aspect::mean) ==
        "raw, nothing");  // half a minute cannot be read from minutes
  CHECK(window(2 * day_ms, 4 * minute_ms, Aspect::last) == "minute");
  CHECK(window(2 * day_ms, 4 * minute_ms - 4, Aspect::last) == "raw, nothing");
  CHECK(window(4 * day_ms, hour_ms, Aspect::max) == "hour");
  CHECK(window(4 * day_ms, hour_ms, Aspect::last) == "minute, nothing");
  CHECK(window(4 * day_ms, 4 * hour_ms, Aspect::last) == "hour");
}

TEST_CASE_FIXTURE(Seams, "history source: roll-ups answer instead of raw samples if source_resolution_ms allows it") {
  const auto allowed = [&](std::int64_t resolution_ms, std::int64_t step_ms, std::int64_t window_ms, Aspect aspect) {
    Want want = want_of({now_ms - 6 * hour_ms, now_ms, step_ms}, window_ms, aspect);
    want.source_resolution_ms = resolution_ms;
    return opened->resolution(want);
  };
  CHECK(allowed(0, minute_ms, minute_ms, Aspect::mean) == "raw");
  CHECK(allowed(minute_ms - 1, minute_ms, minute_ms, Aspect::mean) == "raw");
  CHECK(allowed(minute_ms, minute_ms, minute_ms, Aspect::mean) == "minute");
  CHECK(allowed(minute_ms, hour_ms, hour_ms, Aspect::mean) == "minute");
  CHECK(allowed(hour_ms, hour_ms, hour_ms, Aspect::mean) == "hour");
  CHECK(allowed(hour_ms, hour_ms, 5 * minute_ms, Aspect::mean) == "minute");
  CHECK(allowed(hour_ms, hour_ms, minute_ms / 2, Aspect::mean) == "raw");  // half a minute cannot be read from roll-ups
  CHECK(allowed(minute_ms, minute_ms, 0, Aspect::last) == "minute");
  CHECK(allowed(minute_ms, minute_ms / 4, 0, Aspect::last) == "raw");
  CHECK(allowed(hour_ms, hour_ms, 0, Aspect::last) == "minute");  // the last sample of an hour would be too old
  Want now = want_of({now_ms, now_ms, 0});
  now.source_resolution_ms = hour_ms;
  CHECK(opened->resolution(now) == "raw");  // an instant query needs the newest sample
  CHECK(allowed(minute_ms, minute_ms, 2 * minute_ms, Aspect::last) == "raw");  // too few for a rate
  CHECK(allowed(minute_ms, minute_ms, 4 * minute_ms, Aspect::last) == "minute");

  // Up to the newest sample, sealed or not. A window includes both of its ends (4 samples), a minute its start only (3
  // samples).
  Want want = want_of({now_ms - 6 * hour_ms, now_ms, minute_ms}, minute_ms, Aspect::count);
  const Grid grid{now_ms - 6 * hour_ms, now_ms, minute_ms};
  const auto counts = [&] {
    std::vector<double> counted(grid.steps(), absent);
    const Selected selected = opened->select(want);
    REQUIRE(selected.series.size() == 1);
    REQUIRE(
        over_time(Function::count_over_time, selected.series[0].points, grid, minute_ms, selected.rolled_up, counted));
    return counted;
  };
  CHECK(counts() == std::vector<double>(grid.steps(), 4));
  want.source_resolution_ms = minute_ms;
  CHECK(counts() == std::vector<double>(grid.steps(), 3));
}

TEST_CASE_FIXTURE(Seams,
                  "history source: roll-ups answer a single step, and steps finer than a minute, without raw samples") {
  for (const std::int64_t ago_ms : {hour_ms, 2 * day_ms, 4 * day_ms}) {
    CAPTURE(ago_ms);
    const std::int64_t at_ms = now_ms - ago_ms + 90'000;
    const std::int64_t width_ms = ago_ms == hour_ms ? 1 : ago_ms == 2 * day_ms ? minute_ms : hour_ms;
    const std::int64_t newest_ms = ago_ms == hour_ms ? at_ms - 10'000 : at_ms / width_ms * width_ms - 20'000;
    const double expected = static_cast<double>((newest_ms - begin_ms) / 1000);
    // An instant query, and a range with a single step of it.
    for (const std::int64_t to_ms : {at_ms, at_ms + minute_ms}) {
      const Selected selected = opened->select(want_of({at_ms, to_ms, day_ms}));
      REQUIRE(selected.series.size() == 1);
      double value = 0;
      REQUIRE(select_newest(selected.series[0].points, {at_ms, to_ms, day_ms}, std::span(&value, 1)));
      CHECK(value == expected);
    }
  }
  CHECK(opened->resolution(want_of({now_ms - 2 * day_ms, now_ms - 2 * day_ms + hour_ms, 15'000})) == "minute");
  const Want fine = want_of({now_ms - 2 * day_ms, now_ms - 2 * day_ms + hour_ms, 15'000});
  CHECK(opened->select(fine).series.at(0).points.size() == 241);
  Want few = fine;
  few.samples_max = 200;
  const auto refused = opened->source->select(few);
  REQUIRE(refused.has_error());
  CHECK(refused.error().fault == Fault::denied);
}

TEST_CASE("history source: hours answer if raw samples and minutes have all expired") {
  const storage::Scratch scratch;
  const auto file = scratch / "history.db";
  Recording recording(file, 60'000);
  recording.record(begin_ms, begin_ms + 6 * hour_ms);
  recording.record(begin_ms + 8 * hour_ms, begin_ms + 8 * hour_ms);  // a longer clock step would not be accepted
  recording.record(begin_ms + 10 * hour_ms, begin_ms + 10 * hour_ms);
  recording.retain({.raw_ms = hour_ms, .minute_ms = hour_ms});
  const Opened opened(file);
  CHECK(opened.resolution(want_of({begin_ms, begin_ms + 6 * hour_ms, hour_ms})) == "hour");
  CHECK(opened.resolution(want_of({begin_ms + 5 * hour_ms, begin_ms + 5 * hour_ms, 0})) == "hour");
}

TEST_CASE("history source: roll-ups have no gap and no overlap at the end of the sealed slots") {
  for (const std::int64_t minutes : {125, 140, 151, 179, 185, 195, 211}) {
    CAPTURE(minutes);
    const storage::Scratch scratch;
    const auto file = scratch / "history.db";
    const std::int64_t now_ms = begin_ms + minutes * minute_ms;
    Recording(file).record(begin_ms, now_ms);
    const Opened opened(file);
    for (const std::int64_t width_ms : {minute_ms, hour_ms}) {
      CAPTURE(width_ms);
      const std::int64_t span_ms = width_ms == minute_ms ? 7 * day_ms : 61 * day_ms;
      const std::int64_t to_ms = now_ms / width_ms * width_ms;
      const std::int64_t steps = (to_ms - begin_ms) / width_ms;
      // The last sample before each step.
      const Selected last = opened.select(want_of({to_ms - span_ms, to_ms, width_ms}));
      CHECK(last.rolled_up);
      std::vector<storage::Point> expected;
      for (std::int64_t step = 1; step <= steps; ++step)
        expected.push_back({begin_ms + step * width_ms, static_cast<double>(step * width_ms / 1000 - 1)});
      CHECK(same(last.series.at(0).points, expected));
      // Each bucket counts all of its samples exactly once.
      const Selected counts = opened.select(want_of({to_ms - span_ms, to_ms, width_ms}, width_ms, Aspect::count));
      REQUIRE(counts.series.size() == 1);
      CHECK(counts.series[0].points.size() == static_cast<std::size_t>(steps));
      for (const storage::Point& point : counts.series[0].points)
        CHECK(point.value == static_cast<double>(width_ms / 1000));
    }
  }
}

TEST_CASE("history source: an hour that is partly sealed has all of its samples") {
  for (std::int64_t beyond_ms = 0; beyond_ms <= hour_ms; beyond_ms += 5 * minute_ms) {
    CAPTURE(beyond_ms);
    const storage::Scratch scratch;
    const auto file = scratch / "history.db";
    Recording(file, 20'000).record(begin_ms, begin_ms + 3 * hour_ms + beyond_ms);
    const Opened opened(file);
    Want want = want_of({begin_ms + hour_ms, begin_ms + 3 * hour_ms, hour_ms}, hour_ms, Aspect::count);
    want.source_resolution_ms = hour_ms;
    const Selected hours = opened.select(want);
    REQUIRE(hours.series.at(0).points.size() == 3);
    for (const storage::Point& point : hours.series[0].points)
      CHECK(point.value == 180);
  }
}

TEST_CASE("history source: missing slots are skipped, for raw samples and minutes") {
  const storage::Scratch scratch;
  const auto file = scratch / "history.db";
  Recording recording(file, 20'000);
  std::int64_t at_ms = begin_ms;
  for (const std::int64_t gap_ms : {0L, 2 * hour_ms, hour_ms, 8 * hour_ms}) {
    at_ms += gap_ms;
    recording.record(at_ms, at_ms + 90 * minute_ms);
    at_ms += 91 * minute_ms;
  }
  const Opened opened(file);
  Want want = want_of({begin_ms + hour_ms, at_ms, minute_ms}, hour_ms, Aspect::count);
  CHECK(opened.select(want).series.at(0).points.size() == 4 * (90 * 3 + 1));
  want.source_resolution_ms = minute_ms;
  const Selected minutes = opened.select(want);
  double samples = 0;
  for (const storage::Point& point : minutes.series.at(0).points)
    samples += point.value;
  CHECK(samples == 4 * (90 * 3 + 1));
}

TEST_CASE("history source: a new series that reuses the id of an expired one has its own labels") {
  const storage::Scratch scratch;
  const auto file = scratch / "history.db";
  Recording(file).record(begin_ms, begin_ms + minute_ms);
  const Opened opened(file);
  const Want want = want_of({begin_ms, begin_ms, 0});
  CHECK(label_value(opened.select(want).series.at(0).labels, "gpu") == "0");
  auto writer = storage::Connection::open(file, storage::Connection::Mode::read_write);
  REQUIRE(writer);
  REQUIRE(writer->run("UPDATE series SET labels = 'gpu=\"1\"' WHERE id = (SELECT max(id) FROM series)"));
  CHECK(label_value(opened.select(want).series.at(0).labels, "gpu") == "1");
}

std::vector<storage::Point> points_of(std::vector<Bucket> buckets, std::int64_t width_ms, const Want& want) {
  return to_points(buckets, width_ms, want);
}

Bucket bucket(std::int64_t start_ms, double last, std::int64_t count) {
  return {start_ms, last - 1, last + 1, last, count, last / 2, count > 0 ? 60.0 : 30.0, 0};
}

TEST_CASE("history source: a bucket's point has the bucket's last millisecond and the value of the aspect") {
  const std::vector<Bucket> buckets = {bucket(0, 10, 3), bucket(60'000, 20, 0), bucket(120'000, 30, 2)};
  const auto made = [&](Aspect aspect) {
    return points_of(buckets, 60'000, want_of({300'000, 300'000, 0}, 300'000, aspect));
  };
  CHECK(same(made(Aspect::last), {{59'999, 10}, {179'999, 30}}));
  CHECK(same(made(Aspect::mean), {{59'999, 5}, {119'999, 10}, {179'999, 15}}));
  CHECK(same(made(Aspect::min), {{59'999, 9}, {179'999, 29}}));
  CHECK(same(made(Aspect::max), {{59'999, 11}, {179'999, 31}}));
  CHECK(same(made(Aspect::sum), {{59'999, 15}, {179'999, 30}}));
  CHECK(same(made(Aspect::count), {{59'999, 3}, {179'999, 2}}));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(points_of({{0, nan, nan, nan, 0, nan, 0, 0}}, 60'000, want_of({60'000, 60'000, 0}, 60'000, Aspect::mean))
            .empty());
}

TEST_CASE("history source: each step has the newest bucket with a sample, for five minutes or its own width") {
  // One sample in two minutes: the bucket between two samples has none, but there is no gap.
  const std::vector<Bucket> slow = {bucket(0, 10, 1), bucket(60'000, 10, 0), bucket(120'000, 30, 1),
                                    bucket(180'000, 30, 0)};
  CHECK(same(points_of(slow, 60'000, want_of({0, 240'000, 60'000})),
             {{60'000, 10}, {120'000, 10}, {180'000, 30}, {240'000, 30}}));
  // The last value holds to the end of the last bucket; a step a minute later finds that the series has ended.
  const std::vector<storage::Point> ended = points_of(slow, 60'000, want_of({240'000, 540'000, 60'000}));
  REQUIRE(ended.size() == 2);
  CHECK((ended[0].wall_ms == 240'000 && ended[0].value == 30));
  CHECK((ended[1].wall_ms == 300'000 && storage::is_end_mark(ended[1].value)));
  CHECK(same(points_of(slow, 60'000, want_of({299'999, 299'999, 0})), {{299'999, 30}}));
  const std::vector<storage::Point> hours =
      points_of({bucket(0, 10, 1)}, hour_ms, want_of({hour_ms - 1, 3 * hour_ms, hour_ms}));
  REQUIRE(hours.size() == 2);
  CHECK((hours[0].wall_ms == 2 * hour_ms - 1 && hours[0].value == 10));
  CHECK((hours[1].wall_ms == 3 * hour_ms - 1 && storage::is_end_mark(hours[1].value)));
  // A slow series: its buckets without a sample keep it alive for five minutes.
  std::vector<Bucket> hourly = {bucket(0, 10, 1)};
  for (std::int64_t minute = 1; minute < 20; ++minute)
    hourly.push_back(bucket(minute * 60'000, 10, 0));
  CHECK(points_of(hourly, 60'000, want_of({0, 1'200'000, 60'000})).size() == 6);  // with the end
  CHECK(same(points_of(slow, 60'000, want_of({150'000, 150'000, 0})), {{150'000, 10}}));
  CHECK(same(points_of(slow, 60'000, want_of({150'000, 400'000, 300'000})), {{150'000, 10}}));
  CHECK(points_of(slow, 60'000, want_of({59'999, 59'999, 0})).empty());
  CHECK(points_of({}, 60'000, want_of({0, 240'000, 60'000})).empty());
}

TEST_CASE("history source: labels are read back as written") {
  using Pairs = Labels;
  CHECK(to_labels("m", "") == Pairs{{"__name__", "m"}});
  CHECK(to_labels("m", R"(b="2",a="x,y=\"z\"",c="")") == Pairs{{"__name__", "m"}, {"a", "x,y=\"z\""}, {"b", "2"}});
  CHECK(to_labels("m", R"(a="C:\\new\nline\\",b="n")") ==
        Pairs{{"__name__", "m"}, {"a", "C:\\new\nline\\"}, {"b", "n"}});
}

}  // namespace
}  // namespace perjoule::query
