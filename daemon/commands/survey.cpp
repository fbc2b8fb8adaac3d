#include "daemon/commands/survey.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <optional>
#include <utility>

#include "collectors/gpu/metrics.hpp"
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
constexpr std::chrono::milliseconds lanes_deadline{500};
constexpr std::int64_t check_every_ns = 20 * nanoseconds_per_millisecond;

// The next middle of a second of the wall clock that is at least a tenth of a second away, on the steady clock.
std::int64_t middle_after(const Stamp& now) {
  const std::int64_t wait_ms = 100 + (1400 - now.wall_ms % 1000) % 1000;
  return now.steady_ns + wait_ms * nanoseconds_per_millisecond;
}

// GPUs get the slot numbers that the daemon saved, if this user may read its ledger.
storage::LedgerRows kept_states(const config::Settings& settings) {
  storage::LedgerRows kept;
  if (!settings.storage.enabled) return kept;
  auto rows = storage::LedgerFile::load_read_only(settings.storage.path / "ledger.db");
  if (rows) kept.states = std::move(rows->states);
  return kept;
}

// The parts of a daemon that a survey needs, in order of dependency.
class Surveyor {
 public:
  Surveyor(const config::Settings& settings, const SurveyPlan& plan)
      : settings_(settings), plan_(plan), ledger_(kept_states(settings), boot_id(settings.roots)) {
    recorder_.configure(settings.efficiency);
  }

  std::unique_ptr<Survey> run() {
    const std::int64_t until_ns = clock_.now().steady_ns + plan_.limit.count() * nanoseconds_per_millisecond;
    std::optional<asio::signal_set> signals;
    if (plan_.each_second) {
      signals.emplace(loop_, SIGINT, SIGTERM);
      signals->async_wait([this](const boost::system::error_code&, int) { loop_.stop(); });
    }
    recorder_.settle(false, clock_.now());
    asio::co_spawn(loop_, watch(until_ns), asio::detached);
    loop_.run();
    update();
    sampler_.reset();
    result_->lanes_ended = lanes_.drain(lanes_deadline);
    return std::move(result_);
  }

 private:
  void start_sources() {
    for (const Entry* entry : registry()) {
      config::CollectorSettings collector = collector_settings(settings_, entry->name);
      if (!collector.enabled) continue;
      collector.period = period;
      collector.deadline = plan_.use_deadlines ? std::min(plan_.call_limit, collector.deadline) : plan_.call_limit;
      collector.stale_after = std::max<config::Milliseconds>(collector.stale_after, 10 * period);
      sampler_->start(*entry, collector, settings_.roots);
    }
  }

  // Devices are read when a second of the wall clock begins (Schedule).
  asio::awaitable<void> play() {
    const std::unique_ptr<Alarm> alarm = clock_.alarm();
    while (plan_.next_second())
      co_await alarm->wait_until(middle_after(clock_.now()));
    played_ = true;
  }

  // Stops the loop when every source is done or the time is up.
  asio::awaitable<void> watch(std::int64_t until_ns) {
    const std::unique_ptr<Alarm> alarm = clock_.alarm();
    if (plan_.next_second) {
      co_await alarm->wait_until(middle_after(clock_.now()));
      asio::co_spawn(loop_, play(), asio::detached);
    }
    start_sources();
    do {
      co_await alarm->wait_until(clock_.now().steady_ns + check_every_ns);
    } while (!sources_.settled(plan_.calls) && clock_.now().steady_ns < until_ns);
    recorder_.settle(true, clock_.now());
    while (plan_.each_second && !played_) {
      const std::int64_t next_ns = clock_.now().steady_ns + nanoseconds_per_second;
      update();
      plan_.each_second(*result_);
      co_await alarm->wait_until(next_ns);
    }
    loop_.stop();
  }

  void update() {
    const Stamp now = clock_.now();
    roster_.tick(now, settings_);
    result_->sources.clear();
    for (const auto& [key, status] : sources_.list())
      result_->sources.push_back(status);
    result_->boards = roster_.inventory()->boards();
    result_->steady_ns = now.steady_ns;
    result_->wall_ms = now.wall_ms;
    result_->latest.visit(now.steady_ns, [&](const Metric& metric, std::string_view, double value) {
      if (&metric == &gpus) result_->gpus_answering = static_cast<std::size_t>(value);
      if (&metric == &gpus_expected) result_->gpus_expected = static_cast<std::size_t>(value);
    });
  }

  const config::Settings& settings_;
  const SurveyPlan& plan_;
  bool played_ = false;  // the last second of a recorded host was read
  std::unique_ptr<Survey> result_ = std::make_unique<Survey>();
  asio::io_context loop_{1};
  SystemClock clock_{loop_};
  LaneThreads lanes_{loop_};
  Log log_{settings_.log};
  Ledger ledger_;
  Recorder recorder_{result_->latest, ledger_, nullptr, make_rows(ledger_)};
  Sources sources_{recorder_, {}};
  GpuRoster roster_{ledger_, recorder_, sources_, log_, {}, {}};
  std::optional<Sampler> sampler_{std::in_place, loop_,    clock_,       [this] { return lanes_.make(); },
                                  recorder_,     sources_, OnLateness(), roster_.inventory()};
};

}  // namespace

std::unique_ptr<Survey> survey(const config::Settings& settings, const SurveyPlan& plan) {
  return Surveyor(settings, plan).run();
}

int leave(const Survey& survey, int code) {
  std::fflush(stdout);
  if (!survey.lanes_ended) _exit(code);
  return code;
}

}  // namespace perjoule
