#include "daemon/sampling/sampler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <exception>
#include <utility>

namespace perjoule {

namespace {

constexpr std::int64_t discovery_period_ns = 60 * nanoseconds_per_second;
constexpr std::int64_t discovery_deadline_ns = 5 * nanoseconds_per_second;
constexpr std::int64_t backoff_first_ns = 5 * nanoseconds_per_second;

std::int64_t nanoseconds(std::chrono::milliseconds duration) {
  return duration.count() * nanoseconds_per_millisecond;
}

// A factor from -0.3 to 0.3, by a hash of the tick (the mixing constants of splitmix64). The due time of a probe with
// jitter moves by this share of the time between deadline and period: regular sampling of a load with the same period
// would always hit its peaks, or always its troughs.
double jitter_share(std::uint64_t tick) {
  std::uint64_t mixed = (tick + 0x9E3779B97F4A7C15ULL) * 0xBF58476D1CE4E5B9ULL;
  mixed ^= mixed >> 31U;
  mixed *= 0x94D049BB133111EBULL;
  mixed ^= mixed >> 29U;
  return (static_cast<double>(mixed >> 11U) / 9007199254740992.0 - 0.5) * 0.6;
}

}  // namespace

// One call of a collector, shared by the coroutine that waits and the lane that runs it; the last owner frees it.
struct Sampler::Call {
  std::shared_ptr<Collector> collector;
  Batch batch;
  Result<void> result;
  Stamp started;
  Stamp ended;
  bool done = false;
};

struct Sampler::Discovery {
  Result<std::vector<Probe>> probes = Error{};
  std::int64_t duration_ns = 0;
  bool done = false;
};

struct Sampler::Run {
  std::string device;
  std::shared_ptr<Collector> collector;
  std::unique_ptr<Lane> lane;
  std::shared_ptr<Alarm> alarm;
  std::shared_ptr<Call> call;
  ProbeId probe{};
  bool jitter = false;
  bool stopped = false;
};

struct Sampler::Source {
  const Entry* entry = nullptr;
  config::CollectorSettings settings;
  Roots roots;
  std::unique_ptr<Lane> lane;
  std::shared_ptr<Alarm> alarm;
  std::map<std::string, std::shared_ptr<Run>> runs;  // by device
  std::int64_t backoff_ns = backoff_first_ns;
  bool rebuild = false;
  bool stopped = false;
};

Sampler::Sampler(asio::io_context& loop, Clock& clock, MakeLane make_lane, Recorder& recorder, Sources& sources,
                 OnLateness on_lateness, std::shared_ptr<Inventory> inventory)
    : loop_(loop),
      clock_(clock),
      make_lane_(std::move(make_lane)),
      recorder_(recorder),
      sources_(sources),
      on_lateness_(std::move(on_lateness)),
      inventory_(std::move(inventory)) {}

Sampler::~Sampler() {
  // Only the calls end; recorded series stay.
  for (auto& [name, source] : running_)
    abandon(*source);
}

void Sampler::abandon(Source& source) {
  source.stopped = true;
  source.lane.reset();
  source.alarm->wake();
  for (auto& [device, run] : source.runs) {
    retire(*run);
    run->alarm->wake();
  }
}

// Destroying a collector may block like its calls (it may shut down a driver), so it is destroyed on its lane, after
// the call in progress if there is one.
void Sampler::retire(Run& run) {
  run.stopped = true;
  run.call.reset();
  if (!run.lane->busy()) {
    run.lane->start([collector = std::move(run.collector)]() mutable { collector.reset(); }, {});
  }
  run.collector.reset();
  run.lane.reset();
}

void Sampler::spawn(asio::awaitable<void> coroutine) {
  // An exception in a coroutine is a programming error: it leaves io_context::run() and ends the daemon.
  asio::co_spawn(loop_, std::move(coroutine), [](const std::exception_ptr& failure) {
    if (failure) std::rethrow_exception(failure);
  });
}

void Sampler::start(const Entry& entry, const config::CollectorSettings& settings, const Roots& roots) {
  auto source = std::make_shared<Source>();
  source->entry = &entry;
  source->settings = settings;
  source->roots = roots;
  source->lane = make_lane_();
  source->alarm = clock_.alarm();
  running_.insert_or_assign(std::string(entry.name), source);
  sources_.expect(entry.name, "");
  spawn(discover(source));
}

void Sampler::stop(std::string_view name) {
  const auto found = running_.find(name);
  if (found == running_.end()) return;
  const std::shared_ptr<Source> source = found->second;
  running_.erase(found);
  abandon(*source);
  for (auto& [device, run] : source->runs) {
    recorder_.close_probe(run->probe);
    sources_.forget(name, device);
  }
  sources_.forget(name, "");
}

void Sampler::stop_all() {
  while (!running_.empty())
    stop(std::string(running_.begin()->first));
}

std::vector<std::string> Sampler::running() const {
  std::vector<std::string> names;
  for (const auto& [name, source] : running_)
    names.push_back(name);
  return names;
}

asio::awaitable<void> Sampler::discover(std::shared_ptr<Source> source) {
  for (;;) {
    auto found = std::make_shared<Discovery>();
    co_await discover(source, found);
    if (source->stopped) co_return;
    merge(source, *found);
    // drop() wakes this coroutine when a probe breaks: the next discovery then runs as soon as the back-off since the
    // last one allows, not only after discovery_period_ns.
    const std::int64_t ended_ns = clock_.now().steady_ns;
    const auto next_ns = [&] { return ended_ns + (source->rebuild ? source->backoff_ns : discovery_period_ns); };
    while (clock_.now().steady_ns < next_ns()) {
      co_await source->alarm->wait_until(next_ns());
      if (source->stopped) co_return;
    }
    source->backoff_ns = source->rebuild ? std::min(source->backoff_ns * 2, discovery_period_ns) : backoff_first_ns;
    source->rebuild = false;
  }
}

// Runs one discovery on the source's lane. A call that hangs shows as `stuck` from its deadline on; there is no second
// discovery of this source until it returns.
asio::awaitable<void> Sampler::discover(std::shared_ptr<Source> source, std::shared_ptr<Discovery> found) {
  DiscoveryContext context{inventory_, {}};
  for (const auto& [device, run] : source->runs)
    context.watched.push_back(device);
  const std::function<void()> work = [found, &clock = clock_, entry = source->entry, options = source->settings.options,
                                      roots = source->roots, context] {
    const std::int64_t started_ns = clock.now().steady_ns;
    found->probes =
        entry->make != nullptr ? entry->make(options, roots) : entry->make_numbered(options, roots, context);
    found->duration_ns = clock.now().steady_ns - started_ns;
  };
  const std::function<void()> done = [found, alarm = source->alarm] {
    found->done = true;
    alarm->wake();
  };
  source->lane->start(work, done);
  std::int64_t until = clock_.now().steady_ns + discovery_deadline_ns;
  for (;;) {
    co_await source->alarm->wait_until(until);
    if (found->done || source->stopped) co_return;
    if (clock_.now().steady_ns < until) continue;
    sources_.timed_out(source->entry->name, "", "discovery of devices has not returned", clock_.now());
    until += discovery_period_ns;
  }
}

void Sampler::merge(const std::shared_ptr<Source>& source, Discovery& found) {
  const std::string_view name = source->entry->name;
  if (!found.probes && found.probes.error().fault == Fault::broken) source->rebuild = true;
  if (found.probes) {
    for (Probe& probe : *found.probes) {
      if (!source->runs.contains(probe.device)) open_probe(source, std::move(probe));
    }
  }
  if (source->runs.empty()) {
    const Error error = found.probes ? Error{Fault::absent, "no device found"} : found.probes.error();
    const double duration_seconds = static_cast<double>(found.duration_ns) / 1e9;
    sources_.sampled(name, "", {state_of(error.fault), error.what, error.remedy, duration_seconds, 0}, clock_.now());
  } else if (!source->runs.contains("")) {
    // Each watched device has a status of its own, so the source itself needs none.
    sources_.forget(name, "");
  }
}

void Sampler::open_probe(const std::shared_ptr<Source>& source, Probe probe) {
  auto run = std::make_shared<Run>();
  run->device = probe.device;
  run->collector = std::move(probe.collector);
  run->lane = make_lane_();
  run->alarm = clock_.alarm();
  run->jitter = probe.jitter;
  run->probe = recorder_.open_probe({std::string(source->entry->name), run->device,
                                     nanoseconds(source->settings.period), nanoseconds(source->settings.stale_after)});
  source->runs.emplace(run->device, run);
  sources_.expect(source->entry->name, run->device);
  spawn(sample(source, run));
}

asio::awaitable<void> Sampler::sample(std::shared_ptr<Source> source, std::shared_ptr<Run> run) {
  const std::int64_t period_ns = nanoseconds(source->settings.period);
  const std::int64_t spread_ns = period_ns - nanoseconds(source->settings.deadline);
  Schedule schedule(period_ns);
  std::uint64_t tick = 0;
  for (;;) {
    const Schedule::Due due = schedule.next(clock_.now());
    if (due.missed > 0) sources_.missed(source->entry->name, run->device, due.missed, clock_.now());
    std::int64_t at = due.steady_ns;
    if (run->jitter) at += static_cast<std::int64_t>(jitter_share(++tick) * static_cast<double>(spread_ns));
    do {
      co_await run->alarm->wait_until(at);
      if (run->stopped) co_return;
    } while (clock_.now().steady_ns < at);
    if (on_lateness_) on_lateness_(clock_.now().steady_ns - at);
    if (run->lane->busy()) {
      sources_.missed(source->entry->name, run->device, 1, clock_.now());
      continue;
    }
    co_await call(source, run);
    if (run->stopped) co_return;
  }
}

asio::awaitable<void> Sampler::call(std::shared_ptr<Source> source, std::shared_ptr<Run> run) {
  // The batch of the last call is reused, unless a lane whose call has not returned still owns it.
  if (!run->call || run->call.use_count() > 1) run->call = std::make_shared<Call>();
  const std::shared_ptr<Call> call = run->call;
  call->collector = run->collector;
  call->batch.clear();
  call->done = false;
  const std::function<void()> work = [call, &clock = clock_] {
    call->started = clock.now();
    call->result = call->collector->sample(call->batch);
    call->ended = clock.now();
  };
  const std::function<void()> done = [call, alarm = run->alarm] {
    call->done = true;
    alarm->wake();
  };
  const std::int64_t until = clock_.now().steady_ns + nanoseconds(source->settings.deadline);
  run->lane->start(work, done);
  do {
    co_await run->alarm->wait_until(until);
    if (run->stopped) co_return;
  } while (!call->done && clock_.now().steady_ns < until);
  if (call->done) {
    call->collector.reset();  // between calls only `run` owns the collector, so that retire() decides where it ends
    finish(*source, *run, *call);
    co_return;
  }
  run->call.reset();
  sources_.timed_out(source->entry->name, run->device,
                     fmt::format("a call has not returned within {} ms", source->settings.deadline.count()),
                     clock_.now());
}

void Sampler::finish(Source& source, Run& run, const Call& ended) {
  Sources::Call report;
  report.duration_seconds = static_cast<double>(ended.ended.steady_ns - ended.started.steady_ns) / 1e9;
  report.faults = ended.batch.fault_count() + ended.batch.refused_count();
  if (ended.result) {
    Stamp stamp = ended.started;
    stamp.uncertainty_ns = ended.ended.steady_ns - ended.started.steady_ns;
    const Recorder::Accepted accepted = recorder_.accept(run.probe, ended.batch, stamp);
    report.faults += accepted.refused;
    if (!ended.batch.faults().empty()) {
      const ItemFault& first = ended.batch.faults().front();
      report.what = fmt::format("{}: {}", first.item, first.error.what);
      report.remedy = first.error.remedy;
    }
    sources_.sampled(source.entry->name, run.device, report, ended.started);
    return;
  }
  const Error& error = ended.result.error();
  report.state = state_of(error.fault);
  report.what = error.what;
  report.remedy = error.remedy;
  if (error.fault != Fault::absent) ++report.faults;
  sources_.sampled(source.entry->name, run.device, report, ended.started);
  if (error.fault == Fault::absent || error.fault == Fault::broken) drop(source, run, error.fault == Fault::broken);
}

// Ends a probe. The next discovery finds the device again if it is there: within a minute, or after the back-off when
// the probe broke.
void Sampler::drop(Source& source, Run& run, bool rebuild) {
  retire(run);
  recorder_.close_probe(run.probe);
  const std::string device = run.device;
  source.runs.erase(device);
  if (!rebuild) return;
  source.rebuild = true;
  source.alarm->wake();
}

}  // namespace perjoule
