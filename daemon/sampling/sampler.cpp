#include "daemon/sampling/sampler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <utility>

#include "daemon/sampling/sampler_state.hpp"

namespace perjoule {

namespace {

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
    // Without a thread there was no call yet, so there is nothing that could block here.
    [[maybe_unused]] const bool started =
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
    if (run->probe) recorder_.close_probe(*run->probe);
  }
  sources_.forget(name);
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
  if (!run->lane->start(work, done)) {
    call->collector.reset();
    failed(*source, run->device, thread_error(), 0);
    co_return;
  }
  do {
    co_await run->alarm->wait_until(until);
    if (run->stopped) co_return;
  } while (!call->done && clock_.now().steady_ns < until);
  if (call->done) {
    call->collector.reset();  // between calls only `run` owns the collector, so that retire() decides where it ends
    while (call->result && !recorder_.prepare(*run->probe, call->batch, call->started)) {
      co_await asio::post(loop_, asio::use_awaitable);
      if (run->stopped) co_return;
    }
    finish(*source, *run, *call);
    co_return;
  }
  run->call.reset();
  sources_.timed_out(source->entry->name, run->device,
                     fmt::format("a call has not returned within {} ms", source->settings.deadline.count()),
                     clock_.now());
}

namespace {

// A meter that was read and then not believed is no item that is ok.
void move_items(ItemCounts& items, ItemState from, ItemState to, std::size_t count) {
  std::uint32_t& source = items[static_cast<std::size_t>(from)];
  const auto moved = std::min<std::uint32_t>(source, static_cast<std::uint32_t>(count));
  source -= moved;
  items[static_cast<std::size_t>(to)] += static_cast<std::uint32_t>(count);
}

}  // namespace

void Sampler::finish(Source& source, Run& run, const Call& ended) {
  Sources::Call report;
  report.duration_seconds = static_cast<double>(ended.ended.steady_ns - ended.started.steady_ns) / 1e9;
  report.faults = ended.batch.fault_count() + ended.batch.refused_count();
  const auto add_items = [&report](std::span<const ItemFault> faults) {
    for (const ItemFault& fault : faults)
      report.without_value.push_back({fault.item, fault.state, fault.error.what, fault.error.remedy});
  };
  const ItemCounts& counts = ended.batch.items();
  if (std::any_of(counts.begin(), counts.end(), [](std::uint32_t count) { return count > 0; })) report.items = counts;
  add_items(ended.batch.faults());
  if (ended.result) {
    Stamp stamp = ended.started;
    stamp.uncertainty_ns = ended.ended.steady_ns - ended.started.steady_ns;
    const Recorder::Accepted accepted = recorder_.accept(*run.probe, ended.batch, stamp);
    report.faults += accepted.refused;
    add_items(accepted.faults);
    if (report.items) move_items(*report.items, ItemState::ok, ItemState::implausible, accepted.faults.size());
    const auto first = std::find_if(report.without_value.begin(), report.without_value.end(),
                                    [](const SourceItem& item) { return item.state != ItemState::absent; });
    if (first != report.without_value.end()) {
      report.what = fmt::format("{}: {}", first->name, first->what);
      report.remedy = first->remedy;
    }
    sources_.sampled(source.entry->name, run.device, report, ended.started);
    return;
  }
  const Error& error = ended.result.error();
  report.state = state_of(error.fault);
  report.what = error.what;
  report.remedy = error.remedy;
  report.lost = error.lost;
  if (error.fault != Fault::absent) ++report.faults;
  sources_.sampled(source.entry->name, run.device, report, ended.started);
  if (error.fault == Fault::absent || error.fault == Fault::broken) drop(source, run, error.fault == Fault::broken);
}

void Sampler::failed(const Source& source, std::string_view device, const Error& error, std::int64_t duration_ns) {
  const std::uint64_t faults = error.fault == Fault::absent ? 0 : 1;
  sources_.sampled(
      source.entry->name, device,
      {state_of(error.fault), error.what, error.remedy, static_cast<double>(duration_ns) / 1e9, faults, error.lost},
      clock_.now());
}

// Ends a probe. The next discovery finds the device again if it is there: within a minute, or after the back-off when
// the probe broke.
void Sampler::drop(Source& source, Run& run, bool rebuild) {
  retire(run);
  recorder_.close_probe(*run.probe);
  const std::string device = run.device;
  source.runs.erase(device);
  if (!rebuild) return;
  source.rebuild = true;
  source.alarm->wake();
}

}  // namespace perjoule
