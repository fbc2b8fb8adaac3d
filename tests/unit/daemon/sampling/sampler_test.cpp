// The sampler on virtual time: hangs, absent and broken devices, stops. Other tests cover what the collectors read.
#include "daemon/sampling/sampler.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>

#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "daemon/efficiency/rows.hpp"
#include "tests/fakes/virtual_clock.hpp"

using namespace perjoule;

namespace {

constexpr std::int64_t second_ns = nanoseconds_per_second;
constexpr std::int64_t milli_ns = nanoseconds_per_millisecond;
constexpr Stamp start{1'000 * second_ns, 1'795'424'400'000};

constexpr auto heat = gauge<Unit::celsius>("perjoule_test_celsius", "Heat of a test.", "device");

// What the collectors below do. A global, because Entry::make is a plain function.
struct Script {
  std::vector<std::string> devices = {"a"};
  std::optional<Error> discovery_error;
  std::int64_t discovery_ns = milli_ns;
  std::function<void()> while_discovering;
  std::map<std::string, Error> errors;            // by device: what the next calls return
  std::map<std::string, std::int64_t> durations;  // by device; else 1 ms
  std::vector<std::int64_t> discoveries;          // times of the calls of make, since the start
  std::map<std::string, std::vector<std::int64_t>> calls;
  bool on_lane = false;    // true while a lane runs work
  bool no_thread = false;  // no lane can start
  int* alive = nullptr;    // number of collectors that exist
  int ended_on_lane = 0;
  std::vector<std::vector<std::string>> watched;  // at each discovery of the source with slot numbers
  std::shared_ptr<Inventory> inventory;
  DiscoveryCall::State call;                 // what such a discovery says it waits for
  bool asks = false;                         // its devices are identified by their driver
  std::map<std::string, std::string> names;  // what the driver then answers, where it is not the device
  std::vector<std::int64_t> identified;      // times of those calls
  std::int64_t duration_ns = 0;              // of the call or discovery that has just run
  const Clock* clock = nullptr;
  [[nodiscard]] std::int64_t now() const { return clock->now().steady_ns - start.steady_ns; }
};
Script* script = nullptr;

class Scripted : public Collector {
 public:
  explicit Scripted(std::string device) : device_(std::move(device)) {
    if (script->alive != nullptr) ++*script->alive;
  }
  ~Scripted() override {
    if (script->alive == nullptr) return;
    --*script->alive;
    if (script->on_lane) ++script->ended_on_lane;
  }
  Scripted(const Scripted&) = delete;
  Scripted& operator=(const Scripted&) = delete;
  Result<void> sample(Batch& batch) override {
    script->calls[device_].push_back(script->now());
    const auto duration = script->durations.find(device_);
    script->duration_ns = duration == script->durations.end() ? milli_ns : duration->second;
    const auto error = script->errors.find(device_);
    if (error != script->errors.end()) return error->second;
    batch.add(heat, celsius(static_cast<double>(script->calls[device_].size())), device_);
    return {};
  }

 private:
  std::string device_;
};

Result<std::vector<Probe>> make(const Options&, const Roots&) {
  script->discoveries.push_back(script->now());
  script->duration_ns = script->discovery_ns;
  if (script->while_discovering) script->while_discovering();
  if (script->discovery_error) return *script->discovery_error;
  std::vector<Probe> probes;
  for (const std::string& device : script->devices)
    probes.push_back({device, std::make_unique<Scripted>(device)});
  return probes;
}

Result<Probe> identify(const std::string& device) {
  script->identified.push_back(script->now());
  const auto duration = script->durations.find(device);
  script->duration_ns = duration == script->durations.end() ? milli_ns : duration->second;
  if (const auto error = script->errors.find(device); error != script->errors.end()) return error->second;
  const std::string name = script->names.contains(device) ? script->names.at(device) : device;
  return Probe{name, std::make_unique<Scripted>(name)};
}

constexpr std::array<const Metric*, 1> metrics = {&heat};
Result<std::vector<Probe>> make_numbered(const Options& options, const Roots& roots, const DiscoveryContext& context) {
  script->watched.push_back(context.watched);
  script->inventory = context.inventory;
  context.call->begin(script->call);
  Result<std::vector<Probe>> probes = make(options, roots);
  if (!probes) return probes;
  std::erase_if(*probes, [&](const Probe& probe) {
    const auto& watched = context.watched;
    return std::find(watched.begin(), watched.end(), probe.device) != watched.end();
  });
  for (Probe& probe : *probes) {
    if (!script->asks) continue;
    probe.identify = [device = probe.device] { return identify(device); };
    probe.collector.reset();
  }
  return probes;
}
const Entry known_entry{
    .name = "scripted", .help = "Plays a script.", .metrics = metrics, .options = {}, .make_numbered = make_numbered};

// Sets on_lane while work runs on it.
class WatchedLane : public fakes::VirtualLane {
 public:
  using VirtualLane::VirtualLane;
  [[nodiscard]] bool start(std::function<void()> work, std::function<void()> done) override {
    if (script->no_thread) return false;
    std::function<void()> noted = [work = std::move(work)] {
      script->on_lane = true;
      work();
      script->on_lane = false;
    };
    return VirtualLane::start(std::move(noted), std::move(done));
  }
};

const Entry entry{.name = "scripted", .help = "Plays a script.", .metrics = metrics, .options = {}, .make = make};

struct Fixture {
  Script played;
  asio::io_context loop{1};
  fakes::VirtualClock clock{loop, start};
  Latest latest;
  Ledger ledger{{}, "boot"};
  Recorder recorder{latest, ledger, nullptr, make_rows(ledger)};
  Sources sources{recorder.series(), latest, {}};
  std::int64_t late_ns = 0;
  std::optional<Sampler> sampler;

  Fixture() {
    script = &played;
    played.clock = &clock;
    const MakeLane lanes = [this] {
      return std::make_unique<WatchedLane>(clock, [this] { return played.duration_ns; });
    };
    sampler.emplace(loop, clock, lanes, recorder, sources,
                    [this](std::int64_t ns) { late_ns = std::max(late_ns, ns); });
  }
  ~Fixture() {
    sampler.reset();
    run(0);
  }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  void begin() {
    config::CollectorSettings settings;
    settings.stale_after = config::Milliseconds(3000);
    sampler->start(entry, settings, Roots{});
  }
  void begin_known() { sampler->start(known_entry, config::CollectorSettings{}, Roots{}); }
  void run(std::int64_t seconds) { clock.run_until(clock.now().steady_ns + seconds * second_ns); }
  const SourceStatus& status(const std::string& device) {
    const auto found = sources.list().find({"scripted", device});
    REQUIRE(found != sources.list().end());
    return found->second;
  }
  bool listed(const std::string& device) { return sources.list().contains({"scripted", device}); }
  std::uint64_t ticks(const std::string& device) {
    const SourceStatus& of = status(device);
    return of.samples + of.timeouts + of.missed;
  }
  std::optional<double> shown(std::string_view device) {
    const auto id = recorder.series().identify(heat, label_values({device}));
    return latest.value(*id, clock.now().steady_ns);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a steady device is called once a period, aligned to the wall clock") {
  begin();
  CHECK_FALSE(sources.settled());
  run(10);
  CHECK(status("a").state == SourceState::ok);
  CHECK_FALSE(listed(""));
  CHECK(sources.settled());
  for (std::size_t i = 0; i < played.calls["a"].size(); ++i)
    CHECK(played.calls["a"][i] == static_cast<std::int64_t>(i + 1) * second_ns);
  CHECK(ticks("a") == 9);  // the call at 10 s has not returned
  CHECK(late_ns == 0);
  CHECK(played.discoveries.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a call that hangs is stuck at its deadline, affects its own series only and recovers") {
  played.devices = {"a", "b"};
  begin();
  run(5);
  played.durations["a"] = 30 * second_ns + 500 * milli_ns;
  run(1);  // the call that hangs begins at 6 s
  played.durations.erase("a");
  clock.run_until(start.steady_ns + 6 * second_ns + 899 * milli_ns);
  CHECK(status("a").state == SourceState::ok);
  clock.run_until(start.steady_ns + 6 * second_ns + 900 * milli_ns);
  CHECK(status("a").state == SourceState::stuck);
  run(10);
  CHECK(status("a").timeouts == 1);
  CHECK(status("a").missed == 10);
  CHECK_FALSE(shown("a"));
  CHECK(status("b").state == SourceState::ok);
  CHECK(shown("b") == 16.0);
  // It returns at 36.5 s. Its result is too old and is discarded.
  clock.run_until(start.steady_ns + 36 * second_ns + 600 * milli_ns);
  CHECK(status("a").state == SourceState::stuck);
  CHECK_FALSE(shown("a"));
  clock.run_until(start.steady_ns + 38 * second_ns);
  CHECK(status("a").state == SourceState::ok);
  CHECK(shown("a") == 7.0);
  CHECK(played.calls["a"].size() == 8);
  run(10);
  CHECK(ticks("a") == 47);
  CHECK(ticks("b") == 47);
}

TEST_CASE_FIXTURE(Fixture, "samples + timeouts + missed = ticks, for calls of any duration") {
  std::mt19937_64 random(71);
  begin();
  for (int i = 0; i < 2000; ++i) {
    played.durations["a"] = static_cast<std::int64_t>(random() % 4 == 0 ? random() % 5000 : random() % 900) * milli_ns;
    if (random() % 50 == 0) clock.stall(static_cast<std::int64_t>(random() % 5000) * milli_ns);
    run(1);
  }
  played.durations["a"] = milli_ns;
  run(10);
  clock.run_until(clock.now().steady_ns / second_ns * second_ns + 500 * milli_ns);
  CHECK(ticks("a") == static_cast<std::uint64_t>((clock.now().steady_ns - start.steady_ns) / second_ns));
  CHECK(status("a").timeouts > 0);
  CHECK(status("a").missed > status("a").timeouts);
  // No burst: after a stall at most two calls follow each other, the late one and the one that is due.
  for (std::size_t i = 2; i < played.calls["a"].size(); ++i)
    CHECK(played.calls["a"][i] / second_ns > played.calls["a"][i - 2] / second_ns);
}

TEST_CASE_FIXTURE(Fixture, "a device that is gone is absent, and discovery runs again each minute") {
  begin();
  run(10);
  played.errors["a"] = Error{Fault::absent, "gone"};
  played.devices.clear();
  run(1);
  run(1);
  CHECK(status("a").state == SourceState::absent);
  CHECK(status("a").faults == 0);
  CHECK_FALSE(shown("a"));
  const std::size_t calls = played.calls["a"].size();
  run(40);
  CHECK(played.calls["a"].size() == calls);
  CHECK(played.discoveries.size() == 1);
  run(10);
  CHECK(played.discoveries.size() == 2);
  CHECK(status("").state == SourceState::absent);
  played.devices = {"a"};
  played.errors.clear();
  run(57);
  CHECK(played.discoveries.size() == 2);
  run(4);
  CHECK(played.discoveries.size() == 3);
  CHECK(status("a").state == SourceState::ok);
  CHECK_FALSE(listed(""));
}

TEST_CASE_FIXTURE(Fixture, "a device that breaks is rebuilt, at first at once, then with back-off") {
  begin();
  run(20);
  played.errors["a"] = Error{Fault::broken, "EBADF"};
  run(150);
  CHECK(status("a").state == SourceState::error);
  CHECK(status("a").what == "EBADF");
  std::vector<std::int64_t> gaps;
  for (std::size_t i = 2; i < played.discoveries.size(); ++i)
    gaps.push_back((played.discoveries[i] - played.discoveries[i - 1] + second_ns / 2) / second_ns);
  CHECK(played.discoveries[1] / second_ns == 21);
  // A discovery does not reset the back-off while the device keeps breaking: 5 s, doubled each time, up to a minute.
  CHECK(gaps == std::vector<std::int64_t>{10, 20, 40, 60});
  played.errors.clear();
  run(120);
  CHECK(status("a").state == SourceState::ok);
  // After a minute without a failure, the next one is rebuilt at once again.
  const std::size_t discoveries = played.discoveries.size();
  const std::size_t calls = played.calls["a"].size();
  played.errors["a"] = Error{Fault::broken, "EBADF"};
  run(1);
  played.errors.clear();
  run(8);
  CHECK(played.discoveries.size() > discoveries);
  CHECK(played.calls["a"].size() >= calls + 2);
  CHECK(status("a").state == SourceState::ok);
}

TEST_CASE_FIXTURE(Fixture, "errors of a call: transient errors are counted, denied errors name the remedy") {
  begin();
  run(3);
  played.errors["a"] = Error{Fault::transient, "EIO"};
  run(5);
  CHECK(status("a").state == SourceState::error);
  CHECK(status("a").faults >= 4);
  played.errors["a"] = Error{Fault::denied, "EACCES", "setcap"};
  run(2);
  CHECK(status("a").state == SourceState::denied);
  CHECK(status("a").remedy == "setcap");
  played.errors.clear();
  run(2);
  CHECK(status("a").state == SourceState::ok);
  CHECK(status("a").remedy.empty());
  CHECK(played.calls["a"].size() == 12);
}

TEST_CASE_FIXTURE(Fixture, "discovery: absent, denied, empty, hanging") {
  SUBCASE("an error of make sets the source's state, and make is called again each minute") {
    played.discovery_error = Error{Fault::denied, "EACCES", "setcap"};
    played.while_discovering = [this] { clock.stall(3 * milli_ns); };
    begin();
    run(30);
    CHECK(status("").state == SourceState::denied);
    CHECK(status("").remedy == "setcap");
    CHECK(status("").duration_seconds.value_or(-1) == 0.003);
    CHECK(sources.settled());
    played.discovery_error.reset();
    run(32);
    CHECK(status("a").state == SourceState::ok);
    CHECK_FALSE(listed(""));
  }
  SUBCASE("no device and no error is absent too, so that readiness does not wait for it") {
    played.devices.clear();
    begin();
    run(2);
    CHECK(status("").state == SourceState::absent);
    CHECK(sources.settled());
  }
  SUBCASE("a discovery that hangs is stuck at its deadline, and its devices are used when it returns") {
    played.discovery_ns = 100 * second_ns;
    begin();
    run(4);
    CHECK_FALSE(sources.settled());
    run(1);
    CHECK(status("").state == SourceState::stuck);
    CHECK_FALSE(status("").duration_seconds);
    CHECK(sources.settled());
    run(90);
    CHECK(played.discoveries.size() == 1);
    run(8);
    CHECK(status("a").state == SourceState::ok);
    CHECK_FALSE(listed(""));
  }
  SUBCASE("a later discovery that hangs and then fails does not change the state of watched devices") {
    begin();
    run(30);
    played.discovery_ns = 20 * second_ns;
    played.discovery_error = Error{Fault::transient, "EIO"};
    run(40);
    CHECK(status("").state == SourceState::stuck);
    run(20);
    CHECK_FALSE(listed(""));
    CHECK(status("a").state == SourceState::ok);
  }
}

TEST_CASE_FIXTURE(Fixture, "a broken discovery is repeated after the back-off, not after a minute") {
  played.discovery_error = Error{Fault::broken, "no driver"};
  begin();
  run(60);
  CHECK(played.discoveries.size() == 4);  // at 0, 5, 15 and 35 s
  CHECK(status("").state == SourceState::error);
  played.discovery_error.reset();
  run(20);
  CHECK(status("a").state == SourceState::ok);
}

TEST_CASE_FIXTURE(Fixture, "a collector is destroyed on its lane: when it is dropped, and when its source stops") {
  int alive = 0;
  played.alive = &alive;
  played.devices = {"a", "b"};
  begin();
  run(3);
  CHECK(alive == 2);
  played.on_lane = false;
  played.errors["a"] = Error{Fault::broken, "gone"};
  run(1);
  clock.run_until(clock.now().steady_ns + second_ns / 2);  // between two calls
  CHECK(alive == 1);
  CHECK(played.ended_on_lane == 1);
  sampler->stop_all();
  CHECK(alive == 0);
  CHECK(played.ended_on_lane == 2);
}

TEST_CASE_FIXTURE(Fixture, "discovery of a source with slot numbers gets the watched devices and the inventory") {
  played.devices = {"a", "b"};
  begin_known();
  run(61);
  REQUIRE(played.watched.size() == 2);
  CHECK(played.watched[0].empty());
  CHECK(played.watched[1] == std::vector<std::string>{"a", "b"});
  CHECK(played.inventory.use_count() > 1);
}

TEST_CASE_FIXTURE(Fixture, "devices are identified on their own lanes: one that hangs is stuck and delays no other") {
  played.asks = true;
  played.devices = {"place 0", "place 1", "B"};
  played.names = {{"place 0", "A"}, {"place 1", "C"}};
  played.durations["B"] = 30 * second_ns + 500 * milli_ns;
  begin_known();
  run(1);
  played.durations.clear();
  CHECK(status("B").state == SourceState::stuck);
  CHECK(status("B").what == "its first call has not returned within 900 ms");
  run(2);
  CHECK(sources.settled());
  CHECK(shown("A") == 2.0);
  CHECK(shown("C") == 2.0);
  CHECK_FALSE(listed("place 0"));
  run(20);
  CHECK(played.identified.size() == 3);
  CHECK(status("B").missed == 22);
  run(11);
  CHECK(status("B").state == SourceState::ok);
  CHECK(shown("B") == 3.0);
}

TEST_CASE_FIXTURE(Fixture,
                  "a device that fails when it is identified shows its error, and is read within 10 s of its return") {
  played.asks = true;
  played.devices = {"A", "B"};
  played.errors["B"] = Error{Fault::broken, "lost", "look at the kernel's log"};
  begin_known();
  run(600);
  CHECK(status("A").state == SourceState::ok);
  CHECK(status("B").state == SourceState::error);
  CHECK(status("B").remedy == "look at the kernel's log");
  for (std::size_t i = 3; i < played.identified.size(); ++i)
    CHECK(played.identified[i] - played.identified[i - 1] < 9 * second_ns);
  CHECK(ticks("A") == 599);
  played.errors.clear();
  run(10);
  CHECK(shown("B"));
  CHECK(status("B").state == SourceState::ok);
}

TEST_CASE_FIXTURE(Fixture, "a device that is missing from the bus is looked for every few seconds") {
  played.asks = true;
  played.devices = {"A", "B"};
  begin_known();
  run(10);
  played.inventory->on_bus("scripted", {"0", "1"});
  played.devices = {"A"};
  played.errors["B"] = Error{Fault::absent, "gone"};
  run(200);
  played.devices = {"A", "B"};
  played.errors.clear();
  run(10);
  CHECK(shown("B"));
  const std::size_t discoveries = played.discoveries.size();
  run(50);
  CHECK(played.discoveries.size() == discoveries);
}

TEST_CASE_FIXTURE(Fixture, "a place that turns out to hold a watched device gives no second probe") {
  played.asks = true;
  played.devices = {"A"};
  begin_known();
  run(10);
  played.devices = {"A", "place 1"};
  played.names = {{"place 1", "A"}};
  run(60);
  CHECK_FALSE(listed("place 1"));
  CHECK(status("A").state == SourceState::ok);
  CHECK(ticks("A") == 69);
}

TEST_CASE_FIXTURE(Fixture, "a discovery that hangs: the devices that wait for it are stuck, and the call is named") {
  played.asks = true;
  played.devices = {"A", "B"};
  played.call = {"nvmlInit", {"A", "B"}};
  played.discovery_ns = 100 * second_ns;
  begin_known();
  run(6);
  CHECK(sources.settled());
  CHECK_FALSE(listed(""));
  CHECK(status("A").state == SourceState::stuck);
  CHECK(status("B").what == "nvmlInit has not returned within 5 s");
  played.devices = {"A"};
  run(97);
  CHECK(status("A").state == SourceState::ok);
  CHECK(status("B").state == SourceState::ok);
}

TEST_CASE_FIXTURE(Fixture, "without a thread nothing is stuck: it is an error that is tried again") {
  SUBCASE("of discovery") {
    played.no_thread = true;
    begin();
    run(4);
    CHECK(status("").state == SourceState::error);
    CHECK(status("").remedy.find("TasksMax") != std::string::npos);
  }
  SUBCASE("of a probe") {
    begin();
    clock.run_until(start.steady_ns + 10 * milli_ns);
    played.no_thread = true;
    run(4);
    CHECK(status("a").state == SourceState::error);
    CHECK(status("a").faults == 4);
  }
  played.no_thread = false;
  run(10);
  CHECK(status("a").state == SourceState::ok);
}

TEST_CASE_FIXTURE(Fixture, "a device without a name uses the status of the source itself") {
  played.devices = {""};
  begin();
  run(130);
  CHECK(status("").state == SourceState::ok);
  CHECK(played.discoveries.size() == 3);
  CHECK(ticks("") == 129);
}

TEST_CASE_FIXTURE(Fixture, "the next discovery finds new devices and does not disturb old ones") {
  begin();
  run(10);
  played.devices = {"a", "b"};
  run(60);
  CHECK(status("b").state == SourceState::ok);
  CHECK(ticks("a") == 69);
}

TEST_CASE_FIXTURE(Fixture, "stop abandons a call: its series are removed, and its late return changes nothing") {
  begin();
  run(5);
  played.durations["a"] = 10 * second_ns;
  run(1);
  sampler->stop("scripted");
  CHECK(sampler->running().empty());
  CHECK(sources.list().empty());
  CHECK_FALSE(shown("a"));
  CHECK(latest.fresh(clock.now().steady_ns) == 0);
  const std::size_t calls = played.calls["a"].size();
  run(30);
  CHECK(played.calls["a"].size() == calls);
  CHECK(latest.fresh(clock.now().steady_ns) == 0);
  // Started again, the source works again.
  played.durations.clear();
  begin();
  run(3);
  CHECK(status("a").state == SourceState::ok);
  sampler->stop("unknown");
  sampler->stop_all();
  CHECK(sampler->running().empty());
}

TEST_CASE_FIXTURE(Fixture, "stop while a discovery hangs") {
  played.discovery_ns = 100 * second_ns;
  begin();
  run(10);
  sampler->stop("scripted");
  run(200);
  CHECK(sources.list().empty());
  CHECK(played.discoveries.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a loop that was stalled is late once, and does not catch up in a burst") {
  begin();
  clock.run_until(start.steady_ns + 10 * second_ns + 500 * milli_ns);
  clock.stall(5 * second_ns);
  clock.run_until(start.steady_ns + 20 * second_ns + 500 * milli_ns);
  CHECK(late_ns == 4 * second_ns + 500 * milli_ns);
  CHECK(ticks("a") == 20);
  CHECK(status("a").missed == 3);
}
