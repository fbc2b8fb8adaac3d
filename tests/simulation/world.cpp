#include "tests/simulation/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cmath>
#include <optional>
#include <random>
#include <utility>

#include "collectors/collector.hpp"
#include "collectors/labels.hpp"
#include "collectors/power/metrics.hpp"
#include "daemon/efficiency/rows.hpp"
#include "daemon/record/latest.hpp"
#include "daemon/record/ledger.hpp"
#include "daemon/record/metrics.hpp"
#include "daemon/record/recorder.hpp"
#include "daemon/sampling/sampler.hpp"
#include "daemon/sampling/sources.hpp"
#include "tests/fakes/virtual_clock.hpp"
#include "tests/simulation/device.hpp"
#include "tests/simulation/disk.hpp"

namespace perjoule::simulation {

namespace {

constexpr std::int64_t second_ns = nanoseconds_per_second;
constexpr std::int64_t deadline_ns = 900 * nanoseconds_per_millisecond;
constexpr std::int64_t watts_max = 400;
// A small range, so that the counter wraps many times an hour: after 200 s at full power.
constexpr std::uint64_t wrap = 80'000'000'000;
constexpr Stamp start{1'000 * second_ns, 1'795'424'400'000};

class World;
World* world = nullptr;  // the world of the running seed; a global, because Entry::make is a plain function

struct Device {
  std::string name;
  bool counter = true;
  Truth truth;
  std::int64_t reset_at_us = 0;  // the counter restarted then
  std::uint64_t reset_offset = 0;
  std::int64_t quiet_until_us = 0;  // absent until then
  // The call in progress, and the last reading that the daemon has accepted.
  std::int64_t call_ns = -1;
  std::int64_t busy_until_ns = 0;
  std::int64_t accepted_us = -1;
  bool reading_ok = false;
  std::uint64_t calls = 0;  // in the life of the running daemon
  bool dropped = false;     // was absent or broken in that life
  // Energy that no reader can determine: a counter that restarts near its wrap, power that changes between readings.
  bool reset_since_reading = false;
  std::int64_t undecidable_uj = 0;
  bool unread_since_boot = false;
  // The first row that reached the disk: energy is compared from that time on.
  bool kept = false;
  std::int64_t kept_us = 0;
  std::int64_t kept_uj = 0;

  [[nodiscard]] std::uint64_t raw(std::int64_t at_us) const {
    const auto counted =
        static_cast<std::uint64_t>(truth.microjoules(at_us) - truth.microjoules(reset_at_us)) + reset_offset;
    return counted % (wrap + 1);
  }
};

class World {
 public:
  World(std::uint64_t seed, std::int64_t seconds)
      : random_(seed), clock_(loop_, start), end_ns_(start.steady_ns + seconds * second_ns) {
    const std::int64_t from = start.steady_ns / 1000 - 1;
    const std::int64_t to = from + (seconds + 200) * 1'000'000;
    for (int i = 0; i < 4; ++i) {
      devices_.push_back(Device{fmt::format("package-{}", i), i < 3,
                                Truth(seed * 31 + static_cast<std::uint64_t>(i), from, to, watts_max)});
      devices_.back().reset_at_us = from;
      devices_.back().reset_offset = random_() % wrap;
    }
    boot_ = "boot-0";
    for (std::int64_t& second : certain_)
      second = between(60, seconds / 2);
  }

  Outcome run();
  Result<std::vector<Probe>> make();
  Result<void> sample(Device& device, Batch& batch);
  std::int64_t now_us() const { return clock_.now().steady_ns / 1000; }

 private:
  struct Daemon {
    Latest latest;
    std::optional<DiskSink> sink;
    std::optional<Ledger> ledger;
    std::optional<Recorder> recorder;
    std::optional<Sources> sources;
    std::optional<Sampler> sampler;
  };
  enum Event : std::size_t {
    fault,
    breakage,
    refusal,
    hang,
    reset,
    absence,
    step_forward,
    step_back,
    stall,
    disk_full,
    kill,
    reboot,
    events
  };
  // At random, and once for certain at a random second of the first half, so that every seed has every event.
  bool happens(Event event, double probability) {
    const std::int64_t second = (clock_.now().steady_ns - start.steady_ns) / second_ns;
    if (certain_[event] >= 0 && second >= certain_[event]) {
      certain_[event] = -1;
      return true;
    }
    return chance(probability);
  }
  bool chance(double probability) { return std::uniform_real_distribution<>(0, 1)(random_) < probability; }
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  std::int64_t call_duration();
  void accept(Device& device, std::int64_t at_us);
  [[nodiscard]] static std::string total_key(const Device& device) {
    return fmt::format("{}{{package=\"{}\",source=\"rapl\"}}", cpu_package_energy.name, device.name);
  }
  [[nodiscard]] static std::string unobserved_key(const Device& device) {
    return fmt::format("{}{{device=\"{}\"}}", energy_unobserved.name, device.name);
  }
  void begin();
  void end();
  void strike();
  void lose_sight(Device& device);
  void watch_totals();
  void watch_states();
  void check_ticks();
  void check_energy();
  void watch_disk();
  void check_history();
  void violate(std::string what) {
    if (outcome_.violations.size() < 10)
      outcome_.violations.push_back(
          fmt::format("at {} s: {}", (clock_.now().steady_ns - start.steady_ns) / second_ns, what));
  }

  std::mt19937_64 random_;
  asio::io_context loop_{1};
  fakes::VirtualClock clock_;
  std::int64_t end_ns_;
  std::vector<Device> devices_;
  Disk disk_;
  std::string boot_;
  std::unique_ptr<Daemon> daemon_;
  std::map<std::string, double> shown_;  // largest value that was shown, per persisted series
  std::array<std::int64_t, events> certain_{};
  Device* sampled_ = nullptr;      // the device of the call that is about to run on a lane
  std::int64_t epoch_ns_ = 0;      // start of the running daemon
  std::int64_t stepped_ns_ = 0;    // last step of the wall clock
  std::int64_t realignments_ = 0;  // to the wall clock, in the life of the running daemon
  Outcome outcome_;
};

class SimulatedCollector : public Collector {
 public:
  explicit SimulatedCollector(Device& device) : device_(device) {}
  Result<void> sample(Batch& batch) override { return world->sample(device_, batch); }

 private:
  Device& device_;
};

Result<std::vector<Probe>> make_simulated(const Options&, const Roots&) {
  return world->make();
}

constexpr std::array<const Metric*, 2> simulated_metrics = {&cpu_package_energy, &cpu_package_power};
const Entry simulated_entry{.name = "simulated",
                            .help = "Simulated devices with known energy.",
                            .metrics = simulated_metrics,
                            .options = {},
                            .make = make_simulated};

Result<std::vector<Probe>> World::make() {
  std::vector<Probe> probes;
  for (Device& device : devices_) {
    if (now_us() < device.quiet_until_us) {
      device.dropped = true;
      continue;
    }
    probes.push_back({device.name, std::make_unique<SimulatedCollector>(device), !device.counter});
  }
  return probes;
}

Result<void> World::sample(Device& device, Batch& batch) {
  const std::int64_t at = now_us();
  if (clock_.now().steady_ns < device.busy_until_ns) violate(device.name + " was called during another call");
  sampled_ = &device;
  device.reading_ok = false;
  device.call_ns = clock_.now().steady_ns;
  ++device.calls;
  if (at < device.quiet_until_us) {
    device.dropped = true;
    return Error{Fault::absent, "gone"};
  }
  if (happens(fault, 0.002)) {
    ++outcome_.counts.faults;
    return Error{Fault::transient, "EIO"};
  }
  if (happens(breakage, 0.0005)) {
    ++outcome_.counts.breaks;
    device.dropped = true;
    return Error{Fault::broken, "EBADF"};
  }
  device.reading_ok = true;
  if (device.counter) {
    batch.meter(cpu_package_energy, &cpu_package_power, {device.name, device.raw(at), wrap, watts_max, Origin::counter},
                device.name, "rapl");
    return {};
  }
  auto power = static_cast<double>(device.truth.watts(at));
  if (happens(refusal, 0.002)) {
    ++outcome_.counts.refused;
    device.reading_ok = false;
    power = 4294967.295;
  }
  batch.integrate(cpu_package_energy, &cpu_package_power, watts(power), {device.name, watts_max, Origin::integrated},
                  device.name, "rapl");
  return {};
}

std::int64_t World::call_duration() {
  std::int64_t duration_ns = between(20'000, 5'000'000);
  Device* device = std::exchange(sampled_, nullptr);
  if (device == nullptr) return duration_ns;
  if (happens(hang, 0.003)) {
    ++outcome_.counts.hangs;
    duration_ns = between(1, 120) * second_ns;
  }
  device->busy_until_ns = clock_.now().steady_ns + duration_ns;
  if (device->reading_ok && duration_ns <= deadline_ns) accept(*device, now_us());
  return duration_ns;
}

// Called when the daemon accepts a reading. Adds to undecidable_uj the energy since the previous reading that no reader
// can determine.
void World::accept(Device& device, std::int64_t at_us) {
  if (device.accepted_us >= 0) {
    const std::int64_t interval_us = at_us - device.accepted_us;
    if (device.counter && device.reset_since_reading)
      device.undecidable_uj += interval_us * watts_max * 3 / 2 + watts_max * 100'000;
    if (!device.counter && device.truth.changes(device.accepted_us, at_us) > 0) {
      device.undecidable_uj += std::min<std::int64_t>(interval_us, 40'000'000) * watts_max;
    }
    if (device.counter && device.raw(at_us) < device.raw(device.accepted_us) && !device.reset_since_reading)
      ++outcome_.counts.wraps;
  }
  device.reset_since_reading = false;
  device.unread_since_boot = false;
  device.accepted_us = at_us;
}

void World::begin() {
  daemon_ = std::make_unique<Daemon>();
  Daemon& daemon = *daemon_;
  epoch_ns_ = clock_.now().steady_ns;
  realignments_ = 1;
  for (Device& device : devices_) {
    device.busy_until_ns = 0;
    device.call_ns = -1;
    device.calls = 0;
    device.dropped = false;
    // Uncommitted rows are lost, so the next reading is bridged from the row on the disk.
    const auto row = disk_.meters.find(total_key(device));
    const std::int64_t base_us = row == disk_.meters.end() ? -1 : row->second.steady_ns / 1000;
    device.unread_since_boot = row != disk_.meters.end() && row->second.boot_id != boot_;
    if (base_us < device.accepted_us && device.reset_at_us > base_us) device.reset_since_reading = true;
    device.accepted_us = base_us;
  }
  daemon.sink.emplace(disk_, clock_,
                      [this] { return chance(0.01) ? between(1, 8) * second_ns : between(1'000'000, 30'000'000); });
  daemon.ledger.emplace(disk_.load(), boot_);
  daemon.recorder.emplace(daemon.latest, *daemon.ledger, &*daemon.sink, make_rows(*daemon.ledger));
  daemon.sources.emplace(*daemon.recorder, Sources::OnChange{});
  const MakeLane lanes = [this] {
    return std::make_unique<fakes::VirtualLane>(clock_, [this] { return call_duration(); });
  };
  daemon.sampler.emplace(loop_, clock_, lanes, *daemon.recorder, *daemon.sources);
  config::CollectorSettings settings;
  settings.period = config::Milliseconds(1000);
  settings.deadline = config::Milliseconds(900);
  settings.stale_after = config::Milliseconds(10'000);
  daemon.sampler->start(simulated_entry, settings, Roots{});
}

void World::end() {
  check_ticks();
  check_history();
  daemon_->sampler.reset();
  clock_.run_until(clock_.now().steady_ns);
  daemon_.reset();
}

// For every probe each due time is a sample, a timeout or a miss. If the probe has existed as long as the daemon, their
// number must agree with the elapsed time, give or take one per alignment to the wall clock.
void World::check_ticks() {
  const std::int64_t life = (clock_.now().steady_ns - epoch_ns_) / second_ns;
  for (const Device& device : devices_) {
    const auto found = daemon_->sources->list().find({"simulated", device.name});
    if (found == daemon_->sources->list().end()) continue;
    const SourceStatus& status = found->second;
    outcome_.counts.timeouts += status.timeouts;
    outcome_.counts.missed += status.missed;
    const std::uint64_t ended = status.samples + status.timeouts;
    if (device.calls != ended && device.calls != ended + 1)
      violate(fmt::format("{}: {} calls, {} ended", device.name, device.calls, ended));
    const auto ticks = static_cast<std::int64_t>(ended + status.missed);
    outcome_.counts.ticks += static_cast<std::uint64_t>(ticks);
    if (!device.dropped && device.accepted_us > 0 && std::abs(life - ticks) > 2 + realignments_) {
      violate(fmt::format("{}: {} ticks in {} s", device.name, ticks, life));
    }
  }
}

void World::check_history() {
  const DiskSink& sink = *daemon_->sink;
  if (sink.pushed != sink.stored + sink.dropped + sink.waiting()) {
    violate(fmt::format("{} samples pushed, {} stored + {} dropped + {} waiting", sink.pushed, sink.stored,
                        sink.dropped, sink.waiting()));
  }
}

void World::watch_totals() {
  daemon_->latest.visit(clock_.now().steady_ns, [&](const Metric& metric, std::string_view labels, double value) {
    if (!metric.persisted) return;
    const std::string name = fmt::format("{}{{{}}}", metric.name, labels);
    double& most = shown_[name];
    if (value < most) violate(fmt::format("{} fell from {} to {}", name, most, value));
    most = std::max(most, value);
    // Everything that was shown must be on the disk.
    const std::string identity =
        select_labels(labels, [&](std::string_view label) { return is_identity(metric, label); });
    const auto kept = disk_.totals.find(fmt::format("{}{{{}}}", metric.name, identity));
    if (kept == disk_.totals.end() || static_cast<double>(kept->second) / 1e6 < value)
      violate(fmt::format("{} = {} was shown before it was committed", name, value));
  });
}

// A device is shown as stuck if and only if its call has exceeded its deadline.
void World::watch_states() {
  const std::int64_t now = clock_.now().steady_ns;
  for (const Device& device : devices_) {
    const auto found = daemon_->sources->list().find({"simulated", device.name});
    if (found == daemon_->sources->list().end() || device.call_ns < 0) continue;
    const bool late = device.busy_until_ns > now && now - device.call_ns > deadline_ns;
    const bool stuck = found->second.state == SourceState::stuck;
    if (late && !stuck) violate(device.name + " hangs and is not shown as stuck");
    if (stuck && !late && device.busy_until_ns + 2 * second_ns < now)
      violate(device.name + " has returned and is still shown as stuck");
  }
}

// A gap across a reboot is measured on the wall clock. After a clock step within it, its length cannot be determined.
void World::lose_sight(Device& device) {
  const auto row = disk_.meters.find(total_key(device));
  if (row == disk_.meters.end()) return;
  device.undecidable_uj += (now_us() - row->second.steady_ns / 1000 + 200'000'000) * watts_max;
}

void World::strike() {
  for (Device& device : devices_) {
    if (device.counter && happens(reset, 1.0 / 600)) {
      device.reset_at_us = now_us();
      device.reset_offset = 0;
      ++outcome_.counts.resets;
      device.reset_since_reading = true;
    }
    if (happens(absence, 1.0 / 1500)) {
      device.quiet_until_us = now_us() + between(5, 100) * 1'000'000;
      ++outcome_.counts.absences;
    }
  }
  const bool forward = happens(step_forward, 1.0 / 1000);
  if (forward || happens(step_back, 1.0 / 1000)) {
    ++(forward ? outcome_.counts.steps_forward : outcome_.counts.steps_back);
    clock_.step_wall((forward ? 1 : -1) * between(10, 7'200'000));
    ++realignments_;
    stepped_ns_ = clock_.now().steady_ns;
    for (Device& device : devices_) {
      if (device.unread_since_boot) lose_sight(device);
    }
    return;
  }
  if (happens(stall, 1.0 / 700)) {
    clock_.stall(between(1, 8) * second_ns);
    ++outcome_.counts.stalls;
    return;
  }
  if (disk_.full ? chance(1.0 / 20) : happens(disk_full, 1.0 / 600)) {
    disk_.full = !disk_.full;
    outcome_.counts.disk_failures += disk_.full ? 1U : 0U;
  }
  const bool rebooted = happens(reboot, 1.0 / 1800);
  if (rebooted || happens(kill, 1.0 / 500)) {
    end();
    if (rebooted) {
      clock_.stall(between(20, 90) * second_ns);
      boot_ = fmt::format("boot-{}", ++outcome_.counts.reboots);
      for (Device& device : devices_) {
        device.reset_at_us = now_us();
        device.reset_offset = 0;
        device.accepted_us = -1;
        const auto row = disk_.meters.find(total_key(device));
        if (row != disk_.meters.end() && row->second.steady_ns < stepped_ns_) lose_sight(device);
      }
    } else {
      ++outcome_.counts.kills;
      clock_.stall(between(1, 20) * second_ns);
    }
    begin();
  }
}

Outcome World::run() {
  world = this;
  begin();
  for (std::int64_t second = 0; clock_.now().steady_ns < end_ns_; ++second) {
    clock_.run_until(clock_.now().steady_ns + second_ns);
    daemon_->recorder->commit(second % 5 == 4);
    watch_totals();
    watch_states();
    watch_disk();
    strike();
  }
  disk_.full = false;
  for (int i = 0; i < 30; ++i) {
    clock_.run_until(clock_.now().steady_ns + second_ns);
    daemon_->recorder->commit(i % 5 == 4);
  }
  check_energy();
  end();
  world = nullptr;
  return std::move(outcome_);
}

// Booked energy is the true energy minus unobserved and undecidable energy, and never more than the truth.
void World::check_energy() {
  for (const Device& device : devices_) {
    if (!device.kept) {
      violate(device.name + " never reached the disk");
      continue;
    }
    const std::int64_t until_us = disk_.meters.at(total_key(device)).steady_ns / 1000;
    const std::int64_t truth = device.truth.microjoules(until_us) - device.truth.microjoules(device.kept_us);
    const std::int64_t booked = disk_.totals.at(total_key(device)) - device.kept_uj;
    const std::int64_t unobserved_us = disk_.totals.at(unobserved_key(device));
    const std::int64_t rounding = 10'000'000;
    if (booked > truth + device.undecidable_uj + rounding) {
      violate(fmt::format("{}: {} uJ booked, {} uJ true, {} uJ undecidable", device.name, booked, truth,
                          device.undecidable_uj));
    }
    if (truth - booked > unobserved_us * watts_max + device.undecidable_uj + rounding) {
      violate(
          fmt::format("{}: {} uJ lost, only {} s unobserved", device.name, truth - booked, unobserved_us / 1'000'000));
    }
  }
}

// The energy of the first row on the disk is the base; from there on energy is compared.
void World::watch_disk() {
  for (Device& device : devices_) {
    const auto row = disk_.meters.find(total_key(device));
    if (device.kept || row == disk_.meters.end()) continue;
    device.kept = true;
    device.kept_us = row->second.steady_ns / 1000;
    device.kept_uj = disk_.totals.at(total_key(device));
  }
}

}  // namespace

std::vector<std::pair<std::string, std::uint64_t>> occurrences(const Counts& counts) {
  return {{"hang", counts.hangs},
          {"fault", counts.faults},
          {"absence", counts.absences},
          {"break", counts.breaks},
          {"wrap", counts.wraps},
          {"reset", counts.resets},
          {"refused", counts.refused},
          {"step forward", counts.steps_forward},
          {"step back", counts.steps_back},
          {"stall", counts.stalls},
          {"disk full", counts.disk_failures},
          {"kill", counts.kills},
          {"reboot", counts.reboots},
          {"timeout", counts.timeouts},
          {"missed tick", counts.missed}};
}

Outcome simulate(std::uint64_t seed, std::int64_t seconds) {
  World simulated(seed, seconds);
  return simulated.run();
}

}  // namespace perjoule::simulation
