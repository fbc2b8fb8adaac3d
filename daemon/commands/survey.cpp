#include "daemon/commands/survey.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <optional>

#include "collectors/registry.hpp"
#include "daemon/base/boot.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/lane.hpp"
#include "daemon/efficiency/rows.hpp"
#include "daemon/record/ledger.hpp"
#include "daemon/record/recorder.hpp"
#include "daemon/sampling/gpu_roster.hpp"
#include "daemon/sampling/sampler.hpp"
#include "daemon/sampling/sections.hpp"
#include "storage/ledger_file.hpp"

namespace perjoule {

namespace {

constexpr config::Milliseconds period{1000};
constexpr config::Milliseconds deadline{900};
constexpr std::chrono::milliseconds lanes_deadline{500};
constexpr std::int64_t check_every_ns = 20 * nanoseconds_per_millisecond;

bool done(const Sources& sources, unsigned calls) {
  if (!sources.settled()) return false;
  const auto enough = [calls](const auto& item) {
    const SourceStatus& status = item.second;
    return status.samples + status.timeouts >= calls || status.state != SourceState::ok;
  };
  return std::all_of(sources.list().begin(), sources.list().end(), enough);
}

// Stops the loop when every source is done or the time is up. The pointers are valid while the loop runs.
asio::awaitable<void> watch(asio::io_context* loop, Clock* clock, const Sources* sources, unsigned calls,
                            std::int64_t until_ns) {
  const std::unique_ptr<Alarm> alarm = clock->alarm();
  do {
    co_await alarm->wait_until(clock->now().steady_ns + check_every_ns);
  } while (!done(*sources, calls) && clock->now().steady_ns < until_ns);
  loop->stop();
}

}  // namespace

std::unique_ptr<Survey> survey(const config::Settings& settings, unsigned calls, std::chrono::milliseconds limit) {
  auto result = std::make_unique<Survey>();
  asio::io_context loop(1);
  SystemClock clock(loop);
  LaneThreads lanes(loop);
  // GPUs get the slot numbers that the daemon saved, if this user may read its ledger.
  storage::LedgerRows kept;
  if (settings.storage.enabled) {
    auto rows = storage::LedgerFile::load_read_only(settings.storage.path / "ledger.db");
    if (rows) kept.states = std::move(rows->states);
  }
  Log log(settings.log);
  Ledger ledger(kept, boot_id(settings.roots));
  Recorder recorder(result->latest, ledger, nullptr, make_rows(ledger));
  recorder.configure(settings.efficiency);
  Sources sources(recorder.series(), result->latest, {});
  GpuRoster roster(ledger, recorder, sources, log, {});
  std::optional<Sampler> sampler;
  sampler.emplace(
      loop, clock, [&lanes] { return lanes.make(); }, recorder, sources, OnLateness(), roster.inventory());
  for (const Entry* entry : registry()) {
    config::CollectorSettings collector = collector_settings(settings, entry->name);
    if (!collector.enabled) continue;
    collector.period = period;
    collector.deadline = std::min(deadline, collector.deadline);
    collector.stale_after = std::max<config::Milliseconds>(collector.stale_after, 10 * period);
    sampler->start(*entry, collector, settings.roots);
  }
  const std::int64_t until_ns = clock.now().steady_ns + limit.count() * nanoseconds_per_millisecond;
  asio::co_spawn(loop, watch(&loop, &clock, &sources, calls, until_ns), asio::detached);
  loop.run();
  for (const auto& [key, status] : sources.list())
    result->sources.push_back(status);
  const Stamp now = clock.now();
  roster.tick(now, settings);
  sampler.reset();
  result->lanes_ended = lanes.drain(lanes_deadline);
  result->steady_ns = now.steady_ns;
  result->wall_ms = now.wall_ms;
  return result;
}

}  // namespace perjoule
