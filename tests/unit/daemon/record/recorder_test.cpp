#include "daemon/record/recorder.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "collectors/gpu/metrics.hpp"
#include "collectors/power/metrics.hpp"
#include "daemon/efficiency/node_power.hpp"
#include "daemon/efficiency/rows.hpp"
#include "daemon/record/metrics.hpp"
#include "tests/unit/daemon/record/hand_sink.hpp"

using namespace perjoule;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t wall_start_ms = 1'795'424'400'000;

constexpr auto work = persisted_counter<Unit::none>("perjoule_test_total", "Work of a test.", "workload", "kind");
constexpr auto heat = gauge<Unit::celsius>("perjoule_test_celsius", "Heat of a test.", "sensor");

Stamp at(std::int64_t seconds) {
  return {seconds * second_ns, wall_start_ms + seconds * 1000};
}

Batch package(std::uint64_t raw, std::string_view source = "rapl", Origin origin = Origin::counter) {
  Batch batch;
  batch.meter(cpu_package_energy, &cpu_package_power, {"package-0", raw, 0, 400, origin}, "0", source);
  return batch;
}

struct Daemon {
  explicit Daemon(bool storage = true, const storage::LedgerRows& rows = {}, SeriesLimits limits = {1000, 1000})
      : ledger(rows, "boot"), recorder(latest, ledger, storage ? &sink : nullptr, make_rows(ledger), limits) {}

  std::optional<double> shown(const Metric& metric, std::initializer_list<std::string_view> labels,
                              std::int64_t seconds) {
    const auto id = recorder.series().identify(metric, label_values(labels));
    REQUIRE(id);
    return latest.value(*id, seconds * second_ns);
  }
  std::optional<double> energy(std::int64_t seconds, std::string_view source = "rapl") {
    return shown(cpu_package_energy, {"0", source}, seconds);
  }
  void commit(bool works) {
    recorder.commit(true);
    sink.answer(works);
  }
  ProbeId open() { return recorder.open_probe({"rapl", "package-0", second_ns, 10 * second_ns}); }

  HandSink sink;
  Latest latest;
  Ledger ledger;
  Recorder recorder;
};

}  // namespace

TEST_CASE("a persisted counter is shown after its ledger commit, a gauge at once") {
  Daemon daemon;
  const ProbeId probe = daemon.open();
  daemon.recorder.accept(probe, package(0), at(1));
  daemon.recorder.accept(probe, package(50'000'000), at(2));
  CHECK(daemon.shown(cpu_package_power, {"0", "rapl"}, 2) == 50.0);
  CHECK(daemon.shown(node_power, {"sum"}, 2) == 50.0);
  CHECK_FALSE(daemon.energy(2));
  daemon.recorder.commit(false);
  CHECK_FALSE(daemon.energy(2));
  daemon.sink.answer(true);
  CHECK(daemon.energy(2) == 50.0);
  CHECK(daemon.shown(node_energy, {"sum"}, 2) == 50.0);
  CHECK(daemon.shown(energy_by_source, {"package-0", "counter", "", ""}, 2) == 50.0);
  CHECK(daemon.shown(energy_by_source, {"node", "counter", "", ""}, 2) == 50.0);
  CHECK(daemon.shown(energy_unobserved, {"package-0", "", ""}, 2) == 0.0);
}

TEST_CASE("a reading during a commit is shown after the next commit") {
  Daemon daemon;
  const ProbeId probe = daemon.open();
  daemon.recorder.accept(probe, package(0), at(1));
  daemon.recorder.commit(false);
  daemon.recorder.accept(probe, package(70'000'000), at(2));
  daemon.recorder.commit(false);  // the disk is slow: this one waits for the next call
  CHECK(daemon.sink.commits.size() == 1);
  daemon.sink.answer(true);
  CHECK(daemon.energy(2) == 0.0);
  daemon.commit(true);
  CHECK(daemon.energy(2) == 70.0);
}

TEST_CASE("a total that only one batch has is shown, whatever comes before its commit, and if that fails") {
  Daemon daemon;
  const ProbeId probe = daemon.open();
  const auto accept = [&](std::string_view workload, std::int64_t seconds) {
    Batch batch;
    batch.meter(work, nullptr, {workload, 5, 0, 100}, workload, "steps");
    daemon.recorder.accept(probe, batch, at(seconds));
  };
  accept("a", 1);
  accept("b", 1);
  daemon.recorder.commit(false);
  accept("c", 2);
  daemon.sink.answer(false);
  accept("d", 2);
  daemon.commit(true);
  for (const char* workload : {"a", "b", "c", "d"})
    CHECK_MESSAGE(daemon.shown(work, {workload, "steps"}, 2), workload);
}

TEST_CASE("without commits the shown totals stay for 30 s, whether commits fail or hang; then they are absent") {
  const auto play = [](bool hangs) {
    Daemon daemon;
    const ProbeId probe = daemon.open();
    daemon.recorder.accept(probe, package(0), at(0));
    daemon.commit(true);
    for (int second = 1; second <= 60; ++second) {
      daemon.recorder.accept(probe, package(static_cast<std::uint64_t>(second) * 10'000'000), at(second));
      daemon.recorder.commit(true);
      if (!hangs) daemon.sink.answer(false);
      CHECK(daemon.energy(second) == (second <= 30 ? std::optional(0.0) : std::nullopt));
      CHECK(daemon.shown(cpu_package_power, {"0", "rapl"}, second) == 10.0);
    }
    if (hangs) daemon.sink.answer(true);
    daemon.commit(true);
    CHECK(daemon.energy(60) == 600.0);
    CHECK(daemon.sink.total("perjoule_cpu_package_energy_joules_total{package=\"0\",source=\"rapl\"}") == 600'000'000);
    // Commits do not keep the series of a dead source fresh.
    daemon.commit(true);
    CHECK_FALSE(daemon.energy(71));
  };
  play(false);
  play(true);
}

TEST_CASE("a series that leaves Latest gets an end mark then, and all others at the stop") {
  Daemon daemon;
  const ProbeId probe = daemon.open();
  const auto marks_in = [&](std::size_t from) {
    std::size_t marks = 0;
    for (std::size_t n = from; n < daemon.sink.ticks.size(); ++n) {
      const storage::Tick& tick = daemon.sink.ticks[n];
      const bool of_ends = daemon.sink.groups.at(tick.group).device == storage::ends_device;
      for (const Sample& sample : tick.samples) {
        CHECK(storage::is_end_mark(sample.value) == of_ends);
        marks += of_ends ? 1U : 0U;
      }
    }
    return marks;
  };
  daemon.recorder.accept(probe, package(0), at(1));
  daemon.recorder.accept(probe, package(50'000'000), at(2));
  daemon.commit(true);
  daemon.recorder.end_series(at(3));
  CHECK(marks_in(0) == 0);
  const std::size_t series = daemon.latest.fresh(3 * second_ns);
  daemon.recorder.end_series(at(13));  // the probe is stuck
  CHECK(marks_in(0) == series);
  CHECK(daemon.sink.ticks.back().wall_ms == at(13).wall_ms);
  daemon.recorder.end_series(at(14));
  CHECK(marks_in(0) == series);
  const std::size_t before = daemon.sink.ticks.size();
  daemon.recorder.accept(probe, package(60'000'000), at(20));  // its totals are not committed, and stored all the same
  daemon.recorder.commit_last(at(21));
  CHECK(marks_in(before) == series);
  CHECK(daemon.sink.undescribed == 0);
}

TEST_CASE("without storage everything is shown at once") {
  Daemon daemon(false);
  const ProbeId probe = daemon.open();
  daemon.recorder.accept(probe, package(0), at(1));
  daemon.recorder.accept(probe, package(50'000'000), at(2));
  CHECK(daemon.energy(2) == 50.0);
  daemon.recorder.commit(true);
  daemon.recorder.commit_last(at(2));
  CHECK(daemon.sink.commits.empty());
}

TEST_CASE("when a device's source changes, the counter of the old source keeps its value") {
  Daemon daemon;
  const ProbeId metered = daemon.open();
  daemon.recorder.accept(metered, package(0), at(1));
  daemon.recorder.accept(metered, package(50'000'000), at(2));
  daemon.commit(true);
  daemon.recorder.close_probe(metered);
  CHECK_FALSE(daemon.energy(2));
  const ProbeId modelled = daemon.recorder.open_probe({"power_model", "", second_ns, 10 * second_ns});
  for (int second = 3; second <= 40; ++second) {
    Batch batch;
    batch.integrate(cpu_package_energy, &cpu_package_power, watts(10), {"package-0", 400, Origin::modelled}, "0",
                    "modelled");
    daemon.recorder.accept(modelled, batch, at(second));
    daemon.commit(true);
  }
  CHECK(daemon.energy(40, "modelled") == 370.0);
  CHECK(daemon.energy(40, "rapl") == 50.0);
  CHECK(daemon.shown(energy_by_source, {"package-0", "counter", "", ""}, 40) == 50.0);
  CHECK(daemon.shown(energy_by_source, {"package-0", "modelled", "", ""}, 40) == 370.0);
  CHECK(daemon.shown(node_energy, {"sum"}, 40) == 50.0);
  CHECK_FALSE(daemon.shown(node_power, {"sum"}, 40));
  CHECK(daemon.shown(node_power, {"modelled"}, 40) == 10.0);
  // After a restart too: the ledger has the old counter, although no probe has read it yet.
  Daemon again(true, daemon.sink.rows());
  const ProbeId probe = again.recorder.open_probe({"power_model", "", second_ns, 10 * second_ns});
  Batch batch;
  batch.integrate(cpu_package_energy, &cpu_package_power, watts(10), {"package-0", 400, Origin::modelled}, "0",
                  "modelled");
  again.recorder.accept(probe, batch, at(41));
  again.commit(true);
  CHECK(again.energy(41, "rapl") == 50.0);
  CHECK(again.energy(41, "modelled") == 370.0);
}

TEST_CASE("a source that comes and goes: the counters of both stay current") {
  Daemon daemon;
  const auto modelled = [] {
    Batch batch;
    batch.integrate(cpu_package_energy, &cpu_package_power, watts(10), {"package-0", 400, Origin::modelled}, "0",
                    "modelled");
    return batch;
  };
  const ProbeId rapl = daemon.open();
  const ProbeId model = daemon.recorder.open_probe({"power_model", "", second_ns, 10 * second_ns});
  daemon.recorder.accept(rapl, package(0), at(1));
  daemon.recorder.accept(rapl, package(50'000'000), at(2));
  daemon.recorder.accept(model, modelled(), at(3));
  daemon.recorder.accept(model, modelled(), at(4));
  for (int second = 5; second <= 60; ++second) {
    daemon.recorder.accept(rapl, package(50'000'000 * static_cast<std::uint64_t>(second)), at(second));
    daemon.commit(true);
  }
  CHECK(daemon.energy(60, "modelled") == 10.0);
  CHECK(daemon.energy(60, "rapl") == 3000.0);
}

TEST_CASE("a step beyond what the device may use is a fault with both numbers, and its power is absent at once") {
  Daemon daemon;
  const ProbeId probe = daemon.open();
  const auto read = [&](std::uint64_t joules, int second) {
    const Recorder::Accepted accepted = daemon.recorder.accept(probe, package(joules * 1'000'000), at(second));
    daemon.commit(true);
    return accepted;
  };
  const auto power = [&](int second) { return daemon.shown(cpu_package_power, {"0", "rapl"}, second); };
  read(1000, 0);
  read(1100, 1);
  CHECK(power(1) == 100);
  // Up for one read, and back.
  const Recorder::Accepted held = read(61'100, 2);
  CHECK(held.refused == 1);
  REQUIRE(held.faults.size() == 1);
  CHECK(held.faults[0].item == "package-0");
  CHECK(held.faults[0].error.what.find("60000.0 W; more than 600.0") != std::string::npos);
  CHECK_FALSE(power(2));
  CHECK(daemon.energy(2) == 100);
  CHECK(read(1300, 3).refused == 0);
  CHECK(power(3) == 100);
  CHECK(daemon.energy(3) == 300);
  // Up, and on from there.
  read(61'300, 4);
  const Recorder::Accepted refused = read(61'400, 5);
  CHECK(refused.refused == 1);
  CHECK(refused.resets == 1);
  REQUIRE(refused.faults.size() == 1);
  CHECK(refused.faults[0].error.what.find("1.000 s are unobserved") != std::string::npos);
  CHECK_FALSE(power(5));
  CHECK(daemon.energy(5) == 400);
  // A limit that was raised without notice.
  for (int second = 6; second <= 8; ++second) {
    CHECK(daemon.energy(second) == 400);
    read(61'400 + 700 * static_cast<std::uint64_t>(second - 5), second);
  }
  CHECK(daemon.energy(8) == 2500);
  CHECK(power(8) == 700);
}

TEST_CASE("a device that comes back has its probe and its group of the history again") {
  Daemon daemon;
  const ProbeId first = daemon.open();
  daemon.recorder.accept(first, package(0), at(1));
  daemon.recorder.close_probe(first);
  daemon.recorder.accept(first, package(50'000'000), at(2));  // closed: ignored
  CHECK(daemon.open() == first);
  CHECK(daemon.recorder.open_probe({"rapl", "package-1", second_ns, 10 * second_ns}) != first);
  CHECK(daemon.sink.groups.size() == 4);  // with those of the ends and of the daemon's own series
  const auto& group = daemon.sink.groups.at(static_cast<storage::GroupId>(first));
  CHECK(group.period_ms == 1000);
  daemon.recorder.close_probe(first);
  CHECK(daemon.recorder.open_probe({"rapl", "package-0", 2 * second_ns, 10 * second_ns}) == first);
  CHECK(daemon.sink.groups.size() == 4);
  CHECK(group.period_ms == 2000);
}

// Once it took 20 s on the loop, because each new total searched all others.
TEST_CASE("ten thousand new totals in one batch are accepted in a moment, after a restart too") {
  const auto accept = [](Daemon& daemon) {
    Batch batch;
    for (int i = 0; i < 10'000; ++i)
      batch.meter(work, nullptr, {"", 1'000'000, 0, 1e9, Origin::counter}, fmt::format("job-{}", i), "steps");
    const ProbeId probe = daemon.recorder.open_probe({"textfile", "", second_ns, 10 * second_ns});
    const auto begin = std::chrono::steady_clock::now();
    CHECK(daemon.recorder.accept(probe, batch, at(1)).refused == 0);
    return std::chrono::steady_clock::now() - begin;
  };
  Daemon daemon(true, {}, {20'000, 20'000});
  CHECK(accept(daemon) < std::chrono::seconds(3));  // some 20 ms; with sanitizers on a busy machine more
  daemon.commit(true);
  Daemon again(true, daemon.sink.rows(), {20'000, 20'000});
  CHECK(accept(again) < std::chrono::seconds(3));
}

TEST_CASE("of two readings of one series in a batch only the first counts, in the ledger too") {
  Daemon daemon(false);
  const ProbeId probe = daemon.open();
  const auto accept = [&](std::uint64_t first, std::uint64_t second, std::int64_t seconds) {
    Batch batch;
    for (const std::uint64_t raw : {first, second})
      batch.meter(cpu_package_energy, &cpu_package_power, {"package-0", raw, 0, 400, Origin::counter}, "0", "rapl");
    batch.add(heat, celsius(40), "a");
    batch.add(heat, celsius(99), "a");
    return daemon.recorder.accept(probe, batch, at(seconds));
  };
  accept(100'000'000, 50'000'000, 1);
  const Recorder::Accepted accepted = accept(110'000'000, 60'000'000, 2);
  CHECK(accepted.refused == 2);
  CHECK(daemon.energy(2) == 10.0);
  CHECK(daemon.shown(cpu_package_power, {"0", "rapl"}, 2) == 10.0);
  CHECK(daemon.shown(node_power, {"sum"}, 2) == 10.0);
  CHECK(daemon.shown(heat, {"a"}, 2) == 40.0);
}

TEST_CASE("values that are not finite are refused, and the series becomes stale") {
  Daemon daemon;
  const ProbeId probe = daemon.open();
  Batch good;
  good.add(heat, celsius(40), "a");
  CHECK(daemon.recorder.accept(probe, good, at(1)).samples == 1);
  for (double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    Batch batch;
    batch.add(heat, celsius(bad), "a");
    const auto accepted = daemon.recorder.accept(probe, batch, at(5));
    CHECK(accepted.refused == 1);
    CHECK(accepted.samples == 0);
  }
  CHECK(daemon.shown(heat, {"a"}, 11) == 40.0);
  CHECK_FALSE(daemon.shown(heat, {"a"}, 12));
}

TEST_CASE("close removes the probe's series, also those of a commit in flight") {
  Daemon daemon;
  const ProbeId probe = daemon.open();
  daemon.recorder.accept(probe, package(0), at(1));
  daemon.commit(true);
  daemon.recorder.accept(probe, package(50'000'000), at(2));
  CHECK(daemon.energy(2) == 0.0);
  daemon.recorder.commit(true);
  daemon.recorder.close_probe(probe);
  daemon.sink.answer(true);
  CHECK_FALSE(daemon.energy(2));
  CHECK_FALSE(daemon.shown(cpu_package_power, {"0", "rapl"}, 2));
  CHECK_FALSE(daemon.shown(energy_by_source, {"package-0", "counter", "", ""}, 2));
  // A late batch of a closed probe is not accepted.
  CHECK(daemon.recorder.accept(probe, package(60'000'000), at(3)).samples == 0);
  // The device returns: its total continues.
  const ProbeId again = daemon.open();
  daemon.recorder.accept(again, package(80'000'000), at(4));
  daemon.commit(true);
  CHECK(daemon.energy(4) == 80.0);
}

TEST_CASE("over the series limit new readings are refused and counted; known series continue") {
  Daemon daemon(false, {}, {10, 10});
  const ProbeId probe = daemon.open();
  std::uint64_t refused = 0;
  for (int second = 1; second <= 3; ++second) {
    Batch batch;
    for (int i = 0; i < 50; ++i)
      batch.add(heat, celsius(i), std::to_string(i));
    batch.meter(cpu_package_energy, &cpu_package_power, {"package-0", 1, 0, 400, Origin::counter}, "0", "rapl");
    const auto accepted = daemon.recorder.accept(probe, batch, at(second));
    CHECK(accepted.samples == 10);
    refused += accepted.refused;
  }
  CHECK(refused == 3 * 41);
  CHECK(daemon.latest.fresh(3 * second_ns) == 10);
  CHECK(daemon.recorder.series().refused() > 0);
}

TEST_CASE("the last commit includes everything, also while another one is in flight") {
  Daemon daemon;
  const ProbeId probe = daemon.open();
  daemon.recorder.accept(probe, package(0), at(1));
  daemon.recorder.accept(probe, package(30'000'000), at(2));
  daemon.recorder.commit(false);
  daemon.recorder.accept(probe, package(50'000'000), at(3));
  daemon.recorder.commit_last(at(3));
  REQUIRE(daemon.sink.commits.size() == 2);
  CHECK(daemon.sink.commits[1].history);
  daemon.sink.commits.pop_front();  // the commit in flight never ends
  daemon.sink.answer(true);
  CHECK(daemon.sink.total("perjoule_cpu_package_energy_joules_total{package=\"0\",source=\"rapl\"}") == 50'000'000);
}

TEST_CASE("shown and stored samples agree; series and groups are described before a tick uses them") {
  Daemon daemon;
  const ProbeId probe = daemon.open();
  for (int second = 0; second < 5; ++second)
    daemon.recorder.accept(probe, package(static_cast<std::uint64_t>(second) * 1'000'000), at(second));
  CHECK(daemon.sink.undescribed == 0);
  REQUIRE(daemon.sink.ticks.size() == 5);
  CHECK(daemon.sink.ticks[4].wall_ms == wall_start_ms + 4000);
  CHECK(daemon.sink.groups.at(static_cast<storage::GroupId>(probe)).period_ms == 1000);
  // Steady state: the same samples in the same order.
  REQUIRE(daemon.sink.ticks[3].samples.size() == daemon.sink.ticks[4].samples.size());
  for (std::size_t i = 0; i < daemon.sink.ticks[3].samples.size(); ++i)
    CHECK(daemon.sink.ticks[3].samples[i].series == daemon.sink.ticks[4].samples[i].series);
}

TEST_CASE("more derived rows than the recorder has room for are refused at the start") {
  Latest latest;
  Ledger ledger({}, "boot");
  Rows rows;
  while (rows.size() <= 16)
    rows.push_back(std::move(make_rows(ledger).front()));
  CHECK_THROWS_AS(Recorder(latest, ledger, nullptr, std::move(rows)), std::length_error);
}

TEST_CASE("a total goes on when a label changes that is no identity, and is shown as one series") {
  const auto board = [](std::uint64_t raw, std::string_view slot) {
    Batch batch;
    batch.meter(gpu_energy, nullptr, {"GPU-a", raw, 0, 700}, slot, "GPU-a");
    return batch;
  };
  Daemon daemon(false);
  const ProbeId probe = daemon.recorder.open_probe({"nvml", "GPU-a", second_ns, 10 * second_ns});
  daemon.recorder.accept(probe, board(0, "0"), at(1));
  daemon.recorder.accept(probe, board(100'000'000, "0"), at(2));
  CHECK(daemon.shown(gpu_energy, {"0", "GPU-a"}, 2) == 100.0);
  CHECK(daemon.shown(energy_by_source, {"GPU-a", "counter", "0", "GPU-a"}, 2) == 100.0);
  for (std::int64_t second = 3; second < 9; ++second) {
    const std::string_view slot = second % 2 == 0 ? "0" : "5";
    const std::string_view other = second % 2 == 0 ? "5" : "0";
    daemon.recorder.accept(probe, board(static_cast<std::uint64_t>(second - 1) * 100'000'000, slot), at(second));
    CHECK(daemon.shown(gpu_energy, {slot, "GPU-a"}, second) == 100.0 * static_cast<double>(second - 1));
    CHECK(daemon.shown(energy_unobserved, {"GPU-a", slot, "GPU-a"}, second) == 0.0);
    CHECK_FALSE(daemon.shown(gpu_energy, {other, "GPU-a"}, second));
    CHECK_FALSE(daemon.shown(energy_by_source, {"GPU-a", "counter", other, "GPU-a"}, second));
  }
}
