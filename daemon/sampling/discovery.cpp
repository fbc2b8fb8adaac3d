#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "daemon/sampling/sampler_state.hpp"

namespace perjoule {

namespace {

constexpr std::int64_t period_ns = 60 * nanoseconds_per_second;
constexpr std::int64_t deadline_ns = 5 * nanoseconds_per_second;
constexpr std::int64_t backoff_first_ns = 5 * nanoseconds_per_second;
constexpr std::int64_t backoff_max_ns = 60 * nanoseconds_per_second;
// A GPU that comes back is read within ten seconds.
constexpr std::int64_t numbered_backoff_max_ns = 8 * nanoseconds_per_second;

}  // namespace

asio::awaitable<void> Sampler::discover(std::shared_ptr<Source> source) {
  const bool numbered = source->entry->make_numbered != nullptr;
  source->backoff_ns = backoff_first_ns;
  for (;;) {
    auto found = std::make_shared<Discovery>();
    co_await discover(source, found);
    if (source->stopped) co_return;
    merge(source, *found);
    discard(*source, std::move(found));
    // drop() wakes this coroutine when a probe breaks: the next discovery then runs as soon as the back-off since the
    // last one allows.
    const std::int64_t ended_ns = clock_.now().steady_ns;
    while (clock_.now().steady_ns < ended_ns + discovery_wait_ns(*source)) {
      co_await source->alarm->wait_until(ended_ns + discovery_wait_ns(*source));
      if (source->stopped) co_return;
    }
    const std::int64_t most_ns = numbered ? numbered_backoff_max_ns : backoff_max_ns;
    source->backoff_ns = source->rebuild ? std::min(source->backoff_ns * 2, most_ns) : backoff_first_ns;
    source->rebuild = false;
  }
}

// The time from one discovery to the next.
std::int64_t Sampler::discovery_wait_ns(const Source& source) const {
  if (source.rebuild) return source.backoff_ns;
  const bool complete = source.entry->make_numbered == nullptr || source.runs.size() >= inventory_->expected();
  return complete ? period_ns : numbered_backoff_max_ns;
}

// Runs one discovery on the source's lane. There is no second discovery of this source until it returns.
asio::awaitable<void> Sampler::discover(std::shared_ptr<Source> source, std::shared_ptr<Discovery> found) {
  if (source->lane->busy()) {  // with what discard() gave it
    found->probes = Error{Fault::timeout, "closing a driver's library has not returned"};
    co_return;
  }
  DiscoveryContext context{inventory_, {}, found->call};
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
  if (!source->lane->start(work, done)) {
    found->probes = thread_error();
    source->rebuild = true;
    co_return;
  }
  std::int64_t until = clock_.now().steady_ns + deadline_ns;
  for (;;) {
    co_await source->alarm->wait_until(until);
    if (found->done || source->stopped) co_return;
    if (clock_.now().steady_ns < until) continue;
    discovery_hangs(*source, found->call->state());
    until += period_ns;
  }
}

// A discovery that hangs shows as `stuck` under the devices that wait for it, or, where none is known, under the
// source.
void Sampler::discovery_hangs(Source& source, const DiscoveryCall::State& in) {
  const std::string what =
      fmt::format("{} has not returned within {} s", in.call.empty() ? "the search for devices" : in.call,
                  deadline_ns / nanoseconds_per_second);
  const std::string_view name = source.entry->name;
  if (in.devices.empty()) return sources_.timed_out(name, "", what, clock_.now());
  for (const std::string& device : in.devices)
    sources_.timed_out(name, device, what, clock_.now());
  sources_.forget(name, "");
  source.hung = in.devices;
}

void Sampler::merge(const std::shared_ptr<Source>& source, Discovery& found) {
  const std::string_view name = source->entry->name;
  if (!found.probes && found.probes.error().fault == Fault::broken) source->rebuild = true;
  if (found.probes) {
    for (Probe& probe : *found.probes) {
      if (!source->runs.contains(probe.device)) open_probe(source, std::move(probe));
    }
  }
  for (const std::string& device : std::exchange(source->hung, {})) {
    if (!source->runs.contains(device)) sources_.forget(name, device);
  }
  if (found.probes || found.probes.error().fault == Fault::absent) forget_gone(*source);
  if (source->runs.empty()) {
    failed(*source, "", found.probes ? Error{Fault::absent, "no device found"} : found.probes.error(),
           found.duration_ns);
  } else if (!source->runs.contains("")) {
    // Each watched device has a status of its own, so the source itself needs none.
    sources_.forget(name, "");
  }
}

// A place that shows no GPU any more, and a GPU that this host should no longer have, have no status. Devices of other
// sources keep theirs, because their counters go on when they come back.
void Sampler::forget_gone(const Source& source) {
  if (source.entry->make_numbered == nullptr) return;
  std::set<std::string> kept = {""};
  for (const Inventory::Board& board : inventory_->boards())
    kept.insert(board.uuid);
  std::vector<std::string> gone;
  for (const auto& [key, status] : sources_.list()) {
    if (key.first == source.entry->name && !source.runs.contains(key.second) && !kept.contains(key.second))
      gone.push_back(key.second);
  }
  for (const std::string& device : gone)
    sources_.forget(source.entry->name, device);
}

// What discovery found a second time may be the last owner of a driver's library, and closing that may block.
void Sampler::discard(Source& source, std::shared_ptr<Discovery> found) {
  if (!found->probes || source.lane->busy()) return;
  std::function<void()> work = [found = std::move(found)] { found->probes = Error{}; };
  [[maybe_unused]] const bool started = source.lane->start(std::move(work), {});
}

void Sampler::open_probe(const std::shared_ptr<Source>& source, Probe probe) {
  auto run = std::make_shared<Run>();
  run->device = probe.device;
  run->lane = make_lane_();
  run->alarm = clock_.alarm();
  source->runs.emplace(run->device, run);
  sources_.expect(source->entry->name, run->device);
  if (!probe.identify) return watch(source, run, std::move(probe));
  spawn(identify(source, run, std::move(probe.identify)));
}

void Sampler::watch(const std::shared_ptr<Source>& source, const std::shared_ptr<Run>& run, Probe probe) {
  run->collector = std::move(probe.collector);
  run->jitter = probe.jitter;
  run->probe = recorder_.open_probe({std::string(source->entry->name), run->device,
                                     source->settings.period.count() * nanoseconds_per_millisecond,
                                     source->settings.stale_after.count() * nanoseconds_per_millisecond});
  spawn(sample(source, run));
}

// Asks a device, on its own lane, who it is. While that hangs, ticks count as missed.
asio::awaitable<void> Sampler::identify(std::shared_ptr<Source> source, std::shared_ptr<Run> run,
                                        std::function<Result<Probe>()> ask) {
  const auto answer = std::make_shared<Identified>();
  std::function<void()> work = [answer, &clock = clock_, ask = std::move(ask)] {
    const std::int64_t started_ns = clock.now().steady_ns;
    answer->probe = ask();
    answer->duration_ns = clock.now().steady_ns - started_ns;
  };
  std::function<void()> done = [answer, alarm = run->alarm] {
    answer->done = true;
    alarm->wake();
  };
  answer->done = !run->lane->start(std::move(work), std::move(done));
  if (answer->done) answer->probe = thread_error();
  const std::chrono::milliseconds deadline = source->settings.deadline;
  std::int64_t until = clock_.now().steady_ns + deadline.count() * nanoseconds_per_millisecond;
  for (bool late = false; !answer->done;) {
    co_await run->alarm->wait_until(until);
    if (run->stopped) co_return;
    if (answer->done || clock_.now().steady_ns < until) continue;
    const std::string what = fmt::format("its first call has not returned within {} ms", deadline.count());
    if (!late) sources_.timed_out(source->entry->name, run->device, what, clock_.now());
    if (late) sources_.missed(source->entry->name, run->device, 1, clock_.now());
    late = true;
    until += source->settings.period.count() * nanoseconds_per_millisecond;
  }
  identified(source, run, *answer);
}

void Sampler::identified(const std::shared_ptr<Source>& source, const std::shared_ptr<Run>& run, Identified& answer) {
  const std::string_view name = source->entry->name;
  source->runs.erase(run->device);
  if (!answer.probe) {
    const Error& error = answer.probe.error();
    failed(*source, run->device, error, answer.duration_ns);
    retire(*run);
    source->rebuild = source->rebuild || (error.fault != Fault::absent && error.fault != Fault::denied);
    source->alarm->wake();
    return;
  }
  Probe probe = std::move(*answer.probe);
  if (probe.device != run->device) sources_.forget(name, run->device);
  run->device = probe.device;
  if (source->runs.contains(run->device)) {  // where devices are found by index it may be asked a second time
    run->collector = std::move(probe.collector);
    return retire(*run);
  }
  source->runs.emplace(run->device, run);
  sources_.expect(name, run->device);
  watch(source, run, std::move(probe));
}

}  // namespace perjoule
