// A source whose collectors play a script, and the sampler that runs it on virtual time.
#pragma once

#include "daemon/sampling/sampler.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/efficiency/rows.hpp"
#include "tests/fakes/virtual_clock.hpp"

namespace perjoule::scripted {

inline constexpr std::int64_t second_ns = nanoseconds_per_second;
inline constexpr std::int64_t milli_ns = nanoseconds_per_millisecond;
inline constexpr Stamp start{1'000 * second_ns, 1'795'424'400'000};

inline constexpr auto heat = gauge<Unit::celsius>("perjoule_test_celsius", "Heat of a test.", "device");

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
inline Script* script = nullptr;

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

inline Result<std::vector<Probe>> make(const Options&, const Roots&) {
  script->discoveries.push_back(script->now());
  script->duration_ns = script->discovery_ns;
  if (script->while_discovering) script->while_discovering();
  if (script->discovery_error) return *script->discovery_error;
  std::vector<Probe> probes;
  for (const std::string& device : script->devices)
    probes.push_back({device, std::make_unique<Scripted>(device)});
  return probes;
}

inline Result<Probe> identify(const std::string& device) {
  script->identified.push_back(script->now());
  const auto duration = script->durations.find(device);
  script->duration_ns = duration == script->durations.end() ? milli_ns : duration->second;
  if (const auto error = script->errors.find(device); error != script->errors.end()) return error->second;
  const std::string name = script->names.contains(device) ? script->names.at(device) : device;
  return Probe{name, std::make_unique<Scripted>(name)};
}

inline constexpr std::array<const Metric*, 1> metrics = {&heat};
inline Result<std::vector<Probe>> make_numbered(const Options& options, const Roots& roots,
                                                const DiscoveryContext& context) {
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
inline const Entry known_entry{
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

inline const Entry entry{
    .name = "scripted", .help = "Plays a script.", .metrics = metrics, .options = {}, .make = make};

struct Fixture {
  Script played;
  asio::io_context loop{1};
  fakes::VirtualClock clock{loop, start};
  Latest latest;
  Ledger ledger{{}, "boot"};
  Recorder recorder{latest, ledger, nullptr, make_rows(ledger)};
  Sources sources{recorder, {}};
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

}  // namespace perjoule::scripted
