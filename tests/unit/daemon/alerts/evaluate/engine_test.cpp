#include "daemon/alerts/evaluate/engine.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "collectors/gpu/metrics.hpp"
#include "collectors/sensor_metrics.hpp"
#include "daemon/efficiency/rows.hpp"
#include "daemon/record/alert_metrics.hpp"
#include "daemon/record/recorder.hpp"
#include "daemon/self/own_series.hpp"
#include "tests/fakes/virtual_clock.hpp"
#include "tests/unit/daemon/alerts/evaluate/rules.hpp"

namespace perjoule::alerts {
namespace {

constexpr std::int64_t second_ns = nanoseconds_per_second;
constexpr Stamp start{1'000 * second_ns, 1'795'424'400'000};

constexpr std::string_view warm = R"([{"alert": "Warm", "value": {"metric": "perjoule_temperature_celsius"},
    "levels": [{"severity": "warning", "raise_above": 27, "clear_below": 26, "for": "2s"}], "runbook": "warm"}])";

// The daemon's path from the recorder to the alerts, on virtual time.
class Daemon {
 public:
  explicit Daemon(std::string_view rules, const storage::LedgerRows& rows = {}, const Stamp& begin = start)
      : clock(loop, begin),
        ledger(rows, "boot"),
        recorder(latest, ledger, nullptr, make_rows(ledger)),
        probe(recorder.open_probe(info())) {
    engine.set_rules(rules_of(rules));
    recorder.on_change([this] { engine.wake(); });
    asio::co_spawn(loop, engine.run(), asio::detached);
  }

  void sample(double degrees) {
    Batch batch;
    batch.add(sensor_temperature, celsius(degrees), "x", "temp1", "inlet");
    (void)recorder.accept(probe, batch, clock.now());
  }
  void run(double seconds) {
    clock.run_until(clock.now().steady_ns + static_cast<std::int64_t>(seconds * static_cast<double>(second_ns)));
  }
  void sample_for(double degrees, int seconds) {
    for (; seconds > 0; --seconds) {
      sample(degrees);
      run(1);
    }
  }
  std::optional<double> shown(std::string_view state) {
    const auto id = recorder.series().identify(alert_count, label_values({"Warm", "warning", state}));
    return latest.value(*id, clock.now().steady_ns);
  }

  asio::io_context loop{1};
  fakes::VirtualClock clock;
  Latest latest;
  Ledger ledger;
  Recorder recorder;
  Instruments instruments{BuildInfo{"1.2.3", "0123abc", "main", "g++"}};
  Log log{{config::LogLevel::error, config::LogFormat::logfmt}};
  std::vector<Alert> sent;
  int changes = 0;
  Engine engine{{clock, latest, recorder, instruments, ledger, log}, [this](std::span<const Alert> changed) {
                  sent.insert(sent.end(), changed.begin(), changed.end());
                  ++changes;
                }};
  ProbeId probe;

 private:
  static ProbeInfo info() { return {"hwmon", "", second_ns, 10 * second_ns}; }
};

TEST_CASE("an alert is sent within 21 ms of the batch that crosses the threshold") {
  Daemon daemon(R"([{"alert": "Warm", "value": {"metric": "perjoule_temperature_celsius"},
      "levels": [{"severity": "warning", "raise_above": 27}]}])");
  daemon.sample(20);
  daemon.run(3.3);
  daemon.sample(30);
  daemon.run(0.021);
  REQUIRE(daemon.sent.size() == 1);
  CHECK(daemon.sent[0].phase == Phase::firing);
  CHECK(daemon.sent[0].starts_ms == start.wall_ms + 3'320);
}

TEST_CASE("an alert is published, sent and saved in the ledger, and is removed from there when it ends") {
  Daemon daemon(warm);
  CHECK(daemon.shown("firing") == 0);
  daemon.sample_for(28, 1);
  CHECK(daemon.shown("pending") == 1);
  CHECK(daemon.sent.empty());
  daemon.sample_for(28, 3);
  CHECK(daemon.shown("firing") == 1);
  CHECK(daemon.shown("pending") == 0);
  REQUIRE(daemon.sent.size() == 1);
  CHECK(daemon.sent[0].labels == Labels{{"chip", "x"}, {"role", "inlet"}, {"sensor", "temp1"}});
  CHECK(daemon.engine.firing().size() == 1);
  CHECK(daemon.ledger.states("alert/").size() == 1);
  daemon.sample_for(26.5, 5);
  CHECK(daemon.sent.size() == 1);
  daemon.sample_for(25, 2);
  REQUIRE(daemon.sent.size() == 2);
  CHECK(daemon.sent[1].phase == Phase::resolved);
  CHECK(same(daemon.sent[1], daemon.sent[0]));
  CHECK(daemon.sent[1].starts_ms == daemon.sent[0].starts_ms);
  CHECK(daemon.shown("firing") == 0);
  CHECK(daemon.ledger.states("alert/").empty());
}

TEST_CASE("the report has pending and firing alerts, their start, and the time of the last evaluation") {
  Daemon daemon(warm);
  CHECK(daemon.engine.report().evaluated_ms == 0);
  daemon.run(0.5);
  daemon.sample_for(28, 1);
  const std::int64_t pending_ms = start.wall_ms + 520;
  Report report = daemon.engine.report();
  CHECK(report.rules.size() == 1);
  REQUIRE(report.active.size() == 1);
  CHECK(report.active[0].alert.phase == Phase::pending);
  CHECK(report.active[0].since_ms == pending_ms);
  daemon.sample_for(28, 3);
  report = daemon.engine.report();
  REQUIRE(report.active.size() == 1);
  CHECK(report.active[0].alert.phase == Phase::firing);
  CHECK(report.active[0].since_ms == pending_ms);
  daemon.clock.step_wall(3'600'000);
  daemon.sample_for(28, 1);
  report = daemon.engine.report();
  CHECK(report.active.at(0).since_ms == pending_ms);
  CHECK(report.evaluated_ms > daemon.clock.now().wall_ms - 1'100);
  CHECK(report.evaluated_ms <= daemon.clock.now().wall_ms);
  CHECK(report.active[0].cleared_ms == 0);
  daemon.sample_for(20, 2);
  CHECK(daemon.engine.report().active.empty());
}

TEST_CASE("a stale series counts as no data: the alert is held, then resolved") {
  Daemon daemon(warm);
  daemon.sample_for(28, 4);
  daemon.run(10 + 899);
  CHECK(daemon.sent.size() == 1);
  daemon.run(5);
  REQUIRE(daemon.sent.size() == 2);
  CHECK(daemon.sent[1].reason == "no data");
}

TEST_CASE("a restart sends no alert again, and a resolution after it keeps the original start") {
  storage::LedgerRows rows;
  std::int64_t started_ms = 0;
  std::int64_t since_ms = 0;
  Stamp later;
  {
    Daemon daemon(warm);
    daemon.sample_for(28, 4);
    started_ms = daemon.sent.at(0).starts_ms;
    since_ms = daemon.engine.report().active.at(0).since_ms;
    rows = daemon.ledger.take_changed();
    later = daemon.clock.now();
  }
  later.steady_ns += 60 * second_ns;
  later.wall_ms += 60'000;
  Daemon daemon(warm, rows, later);
  CHECK(daemon.shown("firing") == 1);
  CHECK(daemon.engine.firing().size() == 1);
  REQUIRE(daemon.engine.report().active.size() == 1);
  CHECK(daemon.engine.report().active[0].since_ms == since_ms);
  daemon.run(5);
  daemon.sample_for(26.5, 5);
  CHECK(daemon.sent.empty());
  daemon.sample_for(20, 2);
  REQUIRE(daemon.sent.size() == 1);
  CHECK(daemon.sent[0].phase == Phase::resolved);
  CHECK(daemon.sent[0].starts_ms == started_ms);

  Daemon without("[]", rows, later);
  REQUIRE(without.sent.size() == 1);
  CHECK(without.sent[0].phase == Phase::resolved);
  CHECK(without.sent[0].reason == "the rule was removed");
  CHECK(without.ledger.states("alert/").empty());
}

TEST_CASE("a saved alert that cannot be read is dropped and counted") {
  storage::LedgerRows rows;
  rows.states.push_back({"alert/Warm/warning/", "something else"});
  Daemon daemon(warm, rows);
  CHECK(daemon.ledger.states("alert/").empty());
  const auto id = daemon.recorder.series().identify(alert_overflows, label_values({"unreadable"}));
  CHECK(daemon.latest.value(*id, daemon.clock.now().steady_ns) == 1);
}

TEST_CASE("a reload resolves the alerts of removed rules and removes their series from the scrape") {
  Daemon daemon(warm);
  daemon.sample_for(28, 4);
  CHECK(daemon.shown("firing") == 1);
  daemon.engine.set_rules({});
  REQUIRE(daemon.sent.size() == 2);
  CHECK(daemon.sent[1].reason == "the rule was removed");
  CHECK_FALSE(daemon.shown("firing"));
  daemon.engine.set_rules(rules_of(warm));
  daemon.sample_for(28, 4);
  CHECK(daemon.sent.size() == 3);
}

TEST_CASE("rules can read the daemon's own instruments") {
  Daemon daemon(R"([{"alert": "Dropping", "value": {"metric": "perjoule_storage_dropped_samples_total",
      "fn": "increase", "window": "1m"}, "levels": [{"severity": "warning", "raise_above": 0}]},
      {"alert": "Failing", "value": {"metric": "perjoule_storage_failed_commits_total", "match": {"file": "ledger"},
      "fn": "increase", "window": "1m"}, "levels": [{"severity": "warning", "raise_above": 0}]}])");
  daemon.run(10);
  CHECK(daemon.sent.empty());
  storage::Report report;
  report.dropped_samples = 5;
  daemon.instruments.storage(report);
  daemon.run(2);
  REQUIRE(daemon.sent.size() == 2);
  CHECK(daemon.sent[0].name == "Dropping");
  CHECK(daemon.sent[1].labels == Labels{{"file", "ledger"}});
  daemon.run(70);
  CHECK(daemon.sent.size() == 4);
}

TEST_CASE("an instrument that is kept for the history, too, has its value at every evaluation") {
  Daemon daemon(R"([{"alert": "Stuck", "value": {"metric": "perjoule_storage_commit_pending_seconds"},
      "levels": [{"severity": "warning", "raise_above": 5, "for": "15s"}]}])");
  for (int second = 0; second < 30; ++second) {
    if (second % 15 == 0) keep_instruments(daemon.recorder, daemon.instruments, true);
    daemon.instruments.commit_pending(second);
    daemon.sample_for(20, 1);
  }
  REQUIRE(daemon.sent.size() == 1);
  CHECK(daemon.sent[0].phase == Phase::firing);
}

TEST_CASE("a rule that counts GPUs with alerts fires in the same evaluation as the alert that completes the number") {
  Daemon daemon(R"([
    {"alert": "Hot", "cause": "heat", "value": {"metric": "perjoule_gpu_thermal_margin_celsius"},
     "levels": [{"severity": "warning", "raise_below": 3}, {"severity": "critical", "raise_below": 1}]},
    {"alert": "AllHot", "cause": "heat", "value": {"metric": "perjoule_alerting_gpus",
      "match": {"cause": "heat", "severity": "warning"}, "sum_by": []},
     "levels": [{"severity": "warning", "raise_above": 2}]}])");
  const auto margins = [&daemon](std::initializer_list<double> degrees) {
    Batch batch;
    int slot = 0;
    for (const double value : degrees) {
      batch.add(gpu_thermal_margin, celsius(value), std::to_string(slot), "GPU-" + std::to_string(slot));
      ++slot;
    }
    (void)daemon.recorder.accept(daemon.probe, batch, daemon.clock.now());
    daemon.sent.clear();
    daemon.changes = 0;
    daemon.run(0.5);
    std::string names;
    for (const Alert& alert : daemon.sent)
      names += alert.name + (alert.phase == Phase::firing ? "+ " : "- ");
    return names;
  };
  CHECK(margins({2, 20, 20}) == "Hot+ ");
  CHECK(margins({2, 0.5, 20}) == "Hot+ Hot+ ");  // both levels, one GPU
  CHECK(margins({2, 2, 2}) == "Hot- Hot+ AllHot+ ");
  CHECK(daemon.changes == 1);
  CHECK(margins({2, 2, 20}) == "Hot- AllHot- ");
  const auto counted = [&daemon](std::string_view severity) {
    const auto id = daemon.recorder.series().identify(alerting_gpus, label_values({"heat", severity}));
    return daemon.latest.value(*id, daemon.clock.now().steady_ns);
  };
  CHECK(counted("info") == 2);
  CHECK(counted("warning") == 2);
  CHECK(counted("critical") == 0);
}

TEST_CASE("the log's level follows the severity") {
  for (const auto& [severity, level] :
       {std::pair("info", "level=info"), std::pair("warning", "level=warn"), std::pair("critical", "level=error")}) {
    Alert alert;
    alert.severity = severity;
    const std::string line = format_line(config::LogFormat::logfmt, 0, level_of(alert), "alert firing", {});
    CHECK(line.find(level) != std::string::npos);
  }
}

TEST_CASE("series that come and go do not take the room of a rule's others") {
  Daemon daemon(R"([{"alert": "Warm", "value": {"metric": "perjoule_temperature_celsius"},
      "levels": [{"severity": "warning", "raise_above": 27}]}])");
  const ProbeId other = daemon.recorder.open_probe({"textfile", "", second_ns, 10 * second_ns});
  for (int minute = 0; minute < 200; ++minute) {
    Batch batch;
    for (int n = 0; n < 50; ++n)
      batch.add(sensor_temperature, celsius(20), "y", fmt::format("temp{}", minute * 50 + n), "inlet");
    (void)daemon.recorder.accept(other, batch, daemon.clock.now());
    daemon.sample(20);
    daemon.run(60);
    daemon.recorder.push_own(daemon.clock.now(), true);
    daemon.recorder.drop_unused(daemon.clock.now());
  }
  const auto skipped = daemon.recorder.series().identify(alert_overflows, label_values({"series"}));
  CHECK(daemon.latest.value(*skipped, daemon.clock.now().steady_ns) == 0);
  daemon.sample_for(30, 2);
  CHECK(daemon.engine.firing().size() == 1);
}

}  // namespace
}  // namespace perjoule::alerts
