// What the recorder does beside the readings: ends, the daemon's own series, and memory that is given back.
#include <doctest/doctest.h>
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "collectors/power/metrics.hpp"
#include "daemon/efficiency/rows.hpp"
#include "daemon/record/metrics.hpp"
#include "daemon/record/recorder.hpp"
#include "tests/unit/daemon/record/hand_sink.hpp"

using namespace perjoule;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t hour_s = 3600;
constexpr auto heat = gauge<Unit::celsius>("perjoule_test_celsius", "Heat of a test.", "sensor");
constexpr auto work = persisted_counter<Unit::none>("perjoule_test_total", "Work of a test.", "task");

Stamp at(std::int64_t seconds) {
  return {seconds * second_ns, 1'795'424'400'000 + seconds * 1000};
}

struct Daemon {
  explicit Daemon(SeriesLimits limits = {}, const storage::LedgerRows& rows = {})
      : ledger(rows, "boot"), recorder(latest, ledger, &sink, make_rows(ledger), limits) {}
  ProbeId open(std::string source, std::string device = {}) {
    return recorder.open_probe({std::move(source), std::move(device), second_ns, 10 * second_ns});
  }
  Recorder::Accepted read(ProbeId probe, std::int64_t second, const std::vector<std::string>& names) {
    Batch batch;
    for (const std::string& name : names)
      batch.add(heat, celsius(1), name);
    return recorder.accept(probe, batch, at(second));
  }
  Recorder::Accepted count(ProbeId probe, std::int64_t second, std::uint64_t raw,
                           const std::vector<std::string>& jobs) {
    Batch batch;
    for (const std::string& job : jobs)
      batch.meter(work, nullptr, {job, raw, 0, 1e9, Origin::counter}, job);
    return recorder.accept(probe, batch, at(second));
  }
  std::string text(std::int64_t second) const {
    std::string out;
    latest.write(out, Format::text, second * second_ns);
    return out;
  }
  // The values of the ticks of a device since the tick `from`, by series.
  std::map<std::string, std::vector<double>> stored(std::string_view device, std::size_t from = 0) const {
    std::map<std::string, std::vector<double>> values;
    for (std::size_t n = from; n < sink.ticks.size(); ++n) {
      const auto group = sink.groups.find(sink.ticks[n].group);
      if (group == sink.groups.end() || group->second.device != device) continue;
      for (const Sample& sample : sink.ticks[n].samples)
        values[std::to_string(static_cast<std::uint64_t>(sample.series))].push_back(sample.value);
    }
    return values;
  }

  HandSink sink;
  Latest latest;
  Ledger ledger;
  Recorder recorder;
};

std::vector<std::string> names(const std::string& prefix, int from, int to) {
  std::vector<std::string> made;
  for (int n = from; n < to; ++n)
    made.push_back(prefix + std::to_string(n));
  return made;
}

}  // namespace

TEST_CASE("upkeep: what was not used for an hour is given back, and comes again") {
  Daemon daemon;
  const ProbeId probe = daemon.open("textfile");
  daemon.read(probe, 1, {"a", "b"});
  const std::size_t both = daemon.recorder.series().size();
  for (std::int64_t second = 2; second <= hour_s; second += 60) {
    daemon.read(probe, second, {"b"});
    daemon.recorder.drop_unused(at(second));
  }
  CHECK(daemon.recorder.series().size() == both);
  daemon.recorder.drop_unused(at(hour_s + 2));
  CHECK(daemon.recorder.series().size() == both - 1);
  CHECK(daemon.sink.forgotten == 1);
  daemon.read(probe, hour_s + 62, {"a", "b"});
  CHECK(daemon.recorder.series().size() == both);
  CHECK(daemon.text(hour_s + 62).find("sensor=\"a\"} 1") != std::string::npos);
  CHECK(daemon.sink.undescribed == 0);
}

TEST_CASE("upkeep: a total that is given back goes on where it was, with its siblings") {
  Daemon daemon;
  const ProbeId probe = daemon.open("rapl", "package-0");
  const auto package = [&](std::int64_t second, std::uint64_t raw) {
    Batch batch;
    batch.meter(cpu_package_energy, &cpu_package_power, {"package-0", raw, 0, 400, Origin::counter}, "0", "rapl");
    daemon.recorder.accept(probe, batch, at(second));
  };
  package(1, 0);
  package(2, 50'000'000);
  daemon.recorder.commit(true);
  daemon.sink.answer(true);
  const std::size_t before = daemon.recorder.series().size();
  daemon.recorder.close_probe(probe);
  daemon.recorder.drop_unused(at(2 * hour_s));
  CHECK(daemon.recorder.series().size() == 0);
  const ProbeId again = daemon.open("rapl", "package-0");
  CHECK(again != probe);
  Batch batch;
  batch.meter(cpu_package_energy, &cpu_package_power, {"package-0", 60'000'000, 0, 400, Origin::counter}, "0", "rapl");
  daemon.recorder.accept(again, batch, at(2 * hour_s + 1));
  daemon.recorder.accept(probe, batch, at(2 * hour_s + 1));  // a call that hung returns: ignored
  daemon.recorder.commit(true);
  daemon.sink.answer(true);
  CHECK(daemon.sink.total("perjoule_cpu_package_energy_joules_total{package=\"0\",source=\"rapl\"}") == 60'000'000);
  CHECK(daemon.recorder.series().size() <= before);
  CHECK(daemon.sink.undescribed == 0);
}

TEST_CASE("upkeep: devices with ever new names leave nothing behind") {
  Daemon daemon;
  std::size_t series = 0;
  std::size_t groups = 0;
  for (int hour = 0; hour < 100; ++hour) {
    const ProbeId probe = daemon.open("hwmon", "corsairpsu-hid-" + std::to_string(hour));
    daemon.read(probe, hour * hour_s + 1, names("s" + std::to_string(hour), 0, 20));
    daemon.recorder.close_probe(probe);
    daemon.recorder.end_series(at(hour * hour_s + 1));
    daemon.recorder.drop_unused(at(hour * hour_s + 60));
    if (hour == 2) {
      series = daemon.recorder.series().size();
      groups = daemon.sink.groups.size();
    }
  }
  CHECK(daemon.recorder.series().size() == series);
  CHECK(daemon.sink.groups.size() == groups);
  CHECK(daemon.sink.undescribed == 0);
}

TEST_CASE("upkeep: ever new names of a source make room for its next ones, and take none of another's") {
  Daemon daemon({400, 200});
  const ProbeId files = daemon.open("textfile");
  const ProbeId chip = daemon.open("hwmon");
  for (int second = 1; second <= 100; ++second) {
    daemon.read(files, second, names("job", second * 50, second * 50 + 50));
    const auto accepted = daemon.read(chip, second, names("temp", 0, 100));
    CHECK(accepted.refused == 0);
    daemon.recorder.end_series(at(second));
  }
  // The names of the newest reading are all there.
  for (const std::string& name : names("job", 5000, 5050))
    CHECK(daemon.text(100).find("sensor=\"" + name + "\"} 1") != std::string::npos);
  CHECK(daemon.recorder.series().size() <= 400);
  CHECK(daemon.sink.undescribed == 0);
}

TEST_CASE("upkeep: more living names than the budget are refused, and the first ones stay") {
  Daemon daemon({1000, 100});
  const ProbeId files = daemon.open("textfile");
  for (int second = 1; second <= 5; ++second) {
    const auto accepted = daemon.read(files, second, names("job", 0, 150));
    CHECK(accepted.refused == 50);
    CHECK(daemon.text(second).find("sensor=\"job0\"} 1") != std::string::npos);
    CHECK(daemon.text(second).find("sensor=\"job149\"} 1") == std::string::npos);
  }
}

TEST_CASE("upkeep: end marks are written in the order of time, whatever ends first") {
  Daemon daemon({1000, 100});
  const ProbeId files = daemon.open("textfile");
  for (int second = 1; second <= 60; ++second) {
    daemon.read(files, second, names("job", second * 30, second * 30 + 30));
    if (second % 3 == 0) daemon.recorder.end_series({at(second).steady_ns, at(second).wall_ms + 500});
  }
  std::int64_t newest_ms = 0;
  std::size_t marks = 0;
  for (const storage::Tick& tick : daemon.sink.ticks) {
    if (daemon.sink.groups.at(tick.group).device != storage::ends_device) continue;
    CHECK(tick.wall_ms > newest_ms);
    newest_ms = tick.wall_ms;
    marks += tick.samples.size();
  }
  CHECK(marks > 1000);
}

TEST_CASE("upkeep: a big batch is prepared in parts, and is then accepted as a whole") {
  Daemon daemon({400, 200});
  const ProbeId files = daemon.open("textfile");
  int second = 0;
  const auto parts = [&](int from, int to) {
    Batch batch;
    for (const std::string& name : names("job", from, to))
      batch.add(heat, celsius(1), name);
    ++second;
    int calls = 1;
    for (; !daemon.recorder.prepare(files, batch, at(second), 30); ++calls)
      REQUIRE(calls < 100);
    const std::size_t known = daemon.recorder.series().size();
    const auto accepted = daemon.recorder.accept(files, batch, at(second));
    CHECK(daemon.recorder.series().size() == known);
    return std::pair(calls, accepted.refused);
  };
  CHECK(parts(0, 150) == std::pair(6, std::uint64_t{0}));
  CHECK(parts(0, 150) == std::pair(1, std::uint64_t{0}));
  CHECK(parts(150, 300).second == 100);
  CHECK(parts(150, 300).second == 100);
  const auto [calls, refused] = parts(150, 300);  // the first 150 are dropped, and 100 more are identified
  CHECK(calls >= 8);
  CHECK(refused == 0);
}

TEST_CASE("upkeep: what is dropped while it is shown ends in the history") {
  Daemon daemon({1000, 100});
  const ProbeId files = daemon.open("textfile");
  daemon.read(files, 1, names("a", 0, 60));
  daemon.read(files, 2, names("b", 0, 40));
  CHECK(daemon.read(files, 3, names("c", 0, 10)).refused == 10);  // a was read in the last batch but one
  CHECK(daemon.read(files, 4, names("c", 0, 50)).refused == 0);
  std::size_t marks = 0;
  for (const auto& [series, values] : daemon.stored(storage::ends_device))
    marks += values.size();
  CHECK(marks == 60);
  CHECK(daemon.text(4).find("sensor=\"a0\"") == std::string::npos);
  CHECK(daemon.sink.undescribed == 0);
}

TEST_CASE("upkeep: batches of changing shape, and little room: totals that come and go keep their values") {
  Daemon daemon({300, 60});
  const ProbeId files = daemon.open("textfile");
  std::map<std::string, std::uint64_t> raw;
  for (int second = 1; second <= 300; ++second) {
    std::vector<std::string> jobs = {"steady"};
    if (second % 3 == 0) jobs = names("third", 0, 10);
    const std::vector<std::string> others = names("j" + std::to_string(second) + "-", 0, second % 7);
    jobs.insert(jobs.begin() + second % 2, others.begin(), others.end());
    daemon.count(files, second, static_cast<std::uint64_t>(second) * 1'000'000, jobs);
    if (second % 2 == 0) {
      daemon.recorder.commit(true);
      daemon.sink.answer(true);
    }
  }
  daemon.recorder.commit(true);
  daemon.sink.answer(true);
  CHECK(daemon.sink.total("perjoule_test_total{task=\"third9\"}") == 297'000'000);
  CHECK(daemon.sink.undescribed == 0);
}

TEST_CASE("upkeep: totals with ever new labels are bounded, in the ledger and in its file") {
  Daemon daemon;
  daemon.recorder.bound_totals([](std::string_view family) { return family == "perjoule_test_total"; }, 0);
  const ProbeId files = daemon.open("textfile");
  std::size_t largest = 0;
  for (int second = 1; second <= 60; ++second) {
    daemon.count(files, second, 5, names("job", second * 1000, second * 1000 + 1000));
    daemon.recorder.end_series(at(second));
    daemon.recorder.commit(true);
    daemon.sink.answer(true);
    largest = std::max(largest, daemon.ledger.size());
  }
  CHECK(largest <= Recorder::totals_max + 3'000);
  daemon.recorder.drop_unused(at(61));
  CHECK(daemon.ledger.size() == Recorder::totals_max);
  CHECK(daemon.recorder.expired_totals() == 40'000);
  daemon.recorder.commit(true);
  daemon.sink.answer(true);
  CHECK(daemon.sink.rows().totals.size() == Recorder::totals_max);
  // The newest are all there, and go on.
  const std::string newest = "perjoule_test_total{task=\"job60999\"}";
  daemon.count(files, 62, 9'000'005, {"job60999"});
  daemon.recorder.commit(true);
  daemon.sink.answer(true);
  CHECK(daemon.sink.total(newest) == 9'000'000);
  CHECK(daemon.sink.undescribed == 0);
}

TEST_CASE("upkeep: the daemon's own series are stored every 15 s, states and counts also when they change") {
  Daemon daemon;
  SeriesTable& table = daemon.recorder.series();
  const SeriesId state = *table.identify(source_state, label_values({"rapl", "", "", "", "ok"}));
  const SeriesId duration = *table.identify(collector_duration, label_values({"rapl", "", "", ""}));
  const auto show = [&](std::int64_t second, double ok, double seconds) {
    const Sample samples[] = {{state, ok}, {duration, seconds}};
    daemon.recorder.show_own(samples, at(second));
  };
  const auto values = [&](SeriesId id) { return daemon.stored("own")[std::to_string(static_cast<std::uint64_t>(id))]; };
  show(0, 1, 0.5);
  daemon.recorder.push_own(at(0), true);
  for (std::int64_t second = 1; second < 15; ++second) {
    show(second, second < 7 ? 1 : 0, static_cast<double>(second));
    daemon.recorder.push_own(at(second), false);
  }
  CHECK(values(state) == std::vector<double>{1, 0});
  CHECK(values(duration) == std::vector<double>{0.5});
  daemon.recorder.push_own(at(15), true);
  CHECK(values(state) == std::vector<double>{1, 0, 0});
  CHECK(values(duration) == std::vector<double>{0.5, 14});
  CHECK(daemon.text(100'000).find(
            "perjoule_source_state{source=\"rapl\",device=\"\",gpu=\"\",uuid=\"\",state=\"ok\"} 0") !=
        std::string::npos);
  const SeriesId both[] = {state, duration};
  daemon.recorder.hide_own(both);
  daemon.recorder.end_series(at(16));
  daemon.recorder.push_own(at(30), true);
  CHECK(values(state).size() == 3);
  CHECK(daemon.stored(storage::ends_device).size() == 2);
}

TEST_CASE("upkeep: a series of the history alone is stored when it is given, and ends at the stop") {
  Daemon daemon;
  daemon.recorder.keep_own(heat, "sensor=\"own\"", 5);
  daemon.recorder.push_own(at(0), true);
  daemon.recorder.push_own(at(15), true);
  daemon.recorder.keep_own(heat, "sensor=\"own\"", 5);
  daemon.recorder.push_own(at(30), true);
  REQUIRE(daemon.stored("own").size() == 1);
  CHECK(daemon.stored("own").begin()->second == std::vector<double>{5, 5});
  CHECK(daemon.text(30).empty());
  daemon.recorder.commit_last(at(31));
  CHECK(daemon.stored(storage::ends_device).size() == 1);
}
