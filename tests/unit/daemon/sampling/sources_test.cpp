#include "daemon/sampling/sources.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "daemon/record/metrics.hpp"

using namespace perjoule;

namespace {

constexpr Stamp now{5'000'000'000, 1'795'424'400'500};

struct Fixture {
  Latest latest;
  Ledger ledger{{}, "boot"};
  Recorder recorder{latest, ledger, nullptr, {}};
  std::vector<std::string> changes;
  Sources sources{
      recorder, [this](const SourceStatus& before, const SourceStatus& after) {
        changes.push_back(fmt::format("{}/{}: {} -> {} ({})", after.source, after.device,
                                      before.state ? name(*before.state) : "starting", name(*after.state), after.what));
      }};

  std::optional<double> shown(const Metric& metric, std::initializer_list<std::string_view> labels) {
    const auto id = recorder.series().identify(metric, label_values(labels));
    REQUIRE(id);
    return latest.value(*id, now.steady_ns + 3600'000'000'000);
  }
  // The state whose series is 1; all others must exist and be 0.
  std::string hot(std::string_view source, std::string_view device) {
    std::string found;
    for (const SourceState state : source_states) {
      const auto value = shown(source_state, {source, device, "", "", name(state)});
      if (!value) return "nothing";
      if (*value == 1) found += name(state);
    }
    return found;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the state is one-hot, and never stale") {
  for (const SourceState state : source_states) {
    sources.sampled("rapl", "package-0", {state, "", "", 0.25, 0}, now);
    CHECK(hot("rapl", "package-0") == name(state));
  }
}

TEST_CASE_FIXTURE(Fixture, "a change is reported once, with the status before it") {
  sources.sampled("nvml", "0", {SourceState::ok, "", "", 0, 0}, now);
  sources.sampled("nvml", "0", {SourceState::ok, "", "", 0, 0}, now);
  sources.timed_out("nvml", "0", "hangs", now);
  sources.timed_out("nvml", "0", "hangs", now);
  sources.missed("nvml", "0", 3, now);
  sources.sampled("nvml", "0", {SourceState::error, "EIO", "", 0, 1}, now);
  sources.sampled("nvml", "0", {SourceState::error, "EIO again", "", 0, 1}, now);
  sources.sampled("nvml", "0", {SourceState::ok, "", "", 0, 0}, now);
  CHECK(changes == std::vector<std::string>{"nvml/0: starting -> ok ()", "nvml/0: ok -> stuck (hangs)",
                                            "nvml/0: stuck -> error (EIO)", "nvml/0: error -> ok ()"});
}

TEST_CASE_FIXTURE(Fixture, "calls, timeouts, missed ticks and faults are counted") {
  sources.sampled("rapl", "p", {SourceState::ok, "", "", 0.25, 2}, now);
  sources.timed_out("rapl", "p", "hangs", now);
  sources.missed("rapl", "p", 4, now);
  const SourceStatus& status = sources.list().at({"rapl", "p"});
  CHECK(status.samples == 1);
  CHECK(status.timeouts == 1);
  CHECK(status.missed == 4);
  CHECK(status.faults == 3);
  CHECK(shown(collector_faults, {"rapl", "p", "", ""}) == 3.0);
  CHECK(shown(collector_missed_ticks, {"rapl", "p", "", ""}) == 4.0);
  CHECK(shown(collector_duration, {"rapl", "p", "", ""}) == 0.25);
  CHECK(shown(collector_last_success, {"rapl", "p", "", ""}) == 1'795'424'400.5);
}

TEST_CASE_FIXTURE(Fixture, "times of events that never happened are absent, not 0") {
  sources.sampled("rapl", "", {SourceState::denied, "EACCES", "setcap", 0.001, 1}, now);
  CHECK_FALSE(shown(collector_last_success, {"rapl", "", "", ""}));
  CHECK(sources.list().at({"rapl", ""}).remedy == "setcap");
  sources.timed_out("hwmon", "", "hangs", now);
  CHECK_FALSE(shown(collector_duration, {"hwmon", "", "", ""}));
  // A remedy is removed together with the state that it belongs to.
  sources.sampled("rapl", "", {SourceState::ok, "", "", 0.001, 0}, now);
  CHECK(sources.list().at({"rapl", ""}).remedy.empty());
  CHECK(shown(collector_last_success, {"rapl", "", "", ""}));
}

TEST_CASE_FIXTURE(Fixture, "settled when every expected source has had its first call or deadline") {
  CHECK(sources.settled());
  sources.expect("rapl", "");
  sources.expect("nvml", "0");
  CHECK_FALSE(sources.settled());
  CHECK(hot("rapl", "") == "nothing");
  sources.missed("nvml", "0", 1, now);
  sources.sampled("rapl", "", {SourceState::absent, "none", "", 0, 0}, now);
  CHECK_FALSE(sources.settled());
  sources.timed_out("nvml", "0", "hangs", now);
  CHECK(sources.settled());
  CHECK(sources.list().size() == 2);
}

TEST_CASE_FIXTURE(Fixture, "forget removes every series, and a source that returns starts from zero") {
  sources.sampled("rapl", "p", {SourceState::ok, "", "", 0.25, 2}, now);
  sources.sampled("rapl", "q", {SourceState::ok, "", "", 0.25, 2}, now);
  const std::size_t both = latest.fresh(now.steady_ns);
  sources.forget("rapl", "p");
  sources.forget("rapl", "unknown");
  CHECK(latest.fresh(now.steady_ns) == both / 2);
  CHECK(hot("rapl", "p") == "nothing");
  CHECK(hot("rapl", "q") == "ok");
  sources.sampled("rapl", "p", {SourceState::ok, "", "", 0.25, 0}, now);
  CHECK(sources.list().at({"rapl", "p"}).samples == 1);
  CHECK(latest.fresh(now.steady_ns) == both);
}

TEST_CASE("the state of each fault") {
  CHECK(state_of(Fault::absent) == SourceState::absent);
  CHECK(state_of(Fault::denied) == SourceState::denied);
  CHECK(state_of(Fault::transient) == SourceState::error);
  CHECK(state_of(Fault::broken) == SourceState::error);
  CHECK(state_of(Fault::timeout) == SourceState::stuck);
}

TEST_CASE("over the series limit a source still has its status in the list") {
  Latest latest;
  Ledger ledger({}, "boot");
  Recorder recorder(latest, ledger, nullptr, {}, {0, 0});
  int changes = 0;
  Sources sources(recorder, [&](const SourceStatus&, const SourceStatus&) { ++changes; });
  sources.sampled("rapl", "", {SourceState::ok, "", "", 0, 0}, now);
  CHECK(sources.list().begin()->second.state == SourceState::ok);
  CHECK(changes == 1);
  CHECK(latest.fresh(0) == 0);
  sources.forget("rapl", "");
}

TEST_CASE_FIXTURE(Fixture, "items are counted by state, and those that change are reported once, with their names") {
  std::vector<std::string> said;
  sources.on_items([&](const SourceStatus& status, std::span<const SourceItem> changed) {
    for (const SourceItem& item : changed)
      said.push_back(
          fmt::format("{}/{} {}: {} {}", status.source, status.device, item.name, name(item.state), item.what));
  });
  const auto call = [&](ItemCounts counts, std::vector<SourceItem> without_value) {
    Sources::Call ended;
    ended.items = counts;
    ended.without_value = std::move(without_value);
    sources.sampled("hwmon", "chip", ended, now);
    return std::exchange(said, {});
  };
  const auto items = [&](std::string_view state) { return shown(source_items, {"hwmon", "chip", "", "", state}); };
  const SourceItem fan{"fan1", ItemState::implausible, "65535 rpm", ""};
  const SourceItem link{"temp2", ItemState::absent, "no data", ""};
  CHECK(call({3, 0, 0, 0, 0}, {}).empty());
  CHECK(call({1, 1, 0, 0, 1}, {fan, link}) ==
        std::vector<std::string>{"hwmon/chip fan1: implausible 65535 rpm", "hwmon/chip temp2: absent no data"});
  CHECK(items("ok") == 1);
  CHECK(items("absent") == 1);
  CHECK(items("denied") == 0);
  CHECK(items("implausible") == 1);
  CHECK(call({1, 1, 0, 0, 1}, {fan, link}).empty());
  CHECK(call({1, 1, 0, 0, 2}, {fan, fan, link}).empty());  // several readings may share a name
  CHECK(call({1, 1, 0, 0, 2}, {fan, fan, link}).empty());
  CHECK(call({2, 0, 0, 0, 1}, {fan}) == std::vector<std::string>{"hwmon/chip temp2: ok "});
  sources.timed_out("hwmon", "chip", "hangs", now);
  CHECK_FALSE(items("ok"));
  CHECK(call({3, 0, 0, 0, 0}, {}) == std::vector<std::string>{"hwmon/chip fan1: ok "});
  CHECK(items("ok") == 3);
  CHECK(items("implausible") == 0);
}
