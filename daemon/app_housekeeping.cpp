// The part of App that is done once per second beside the readings.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "config/text.hpp"
#include "daemon/app.hpp"
#include "daemon/base/schedule.hpp"
#include "daemon/efficiency/node_power.hpp"
#include "daemon/self/own_series.hpp"

namespace perjoule {

namespace {

constexpr std::uint64_t process_seconds = 5;
constexpr std::uint64_t own_seconds = Recorder::own_period_ns / nanoseconds_per_second;
constexpr std::uint64_t histogram_seconds = 60;
constexpr std::uint64_t drop_seconds = 60;
constexpr std::int64_t second_calls_ns = 2 * nanoseconds_per_second;
constexpr std::int64_t announce_wait_ns = 5 * nanoseconds_per_second;

}  // namespace

asio::awaitable<void> App::housekeeping() {
  Schedule schedule(nanoseconds_per_second);
  for (std::uint64_t second = 0; !stopping_; ++second) {
    const std::int64_t due_ns = schedule.next(clock_.now()).steady_ns;
    do {
      co_await tick_->wait_until(due_ns);
    } while (!stopping_ && clock_.now().steady_ns < due_ns);
    if (stopping_) co_return;
    reloader_->watch();
    watch_commit();
    keep_up(second);
    commit(second);
    refresh(second);
  }
}

// What of the record goes on beside the readings.
void App::keep_up(std::uint64_t second) {
  const Stamp now = clock_.now();
  recorder_->end_series(now);
  const bool all = second % own_seconds == 0;
  if (all) keep_instruments(*recorder_, instruments_, second % histogram_seconds == 0);
  recorder_->push_own(now, all);
  if (second % drop_seconds == drop_seconds - 1) recorder_->drop_unused(now);
}

// Before the next commit begins: one that is still under way then has lasted for a second or more.
void App::watch_commit() {
  const bool committing = recorder_->committing();
  const double seconds = committing ? static_cast<double>(clock_.now().steady_ns - commit_began_ns_) / 1e9 : 0;
  instruments_.commit_pending(seconds);
  changes_.commit_pending(seconds);
}

// The history is committed every `storage.commit`, and each second at first, so that queries find what there is. If a
// slow disk still holds the previous commit when that second comes, history_due_ carries the history over to the next
// commit.
void App::commit(std::uint64_t second) {
  const auto every = static_cast<std::uint64_t>(std::max<std::int64_t>(settings_.storage.commit.count() / 1000, 1));
  history_due_ = history_due_ || second < every || second % every == every - 1;
  flush();
}

void App::flush() {
  if (recorder_->committing()) return;
  commit_began_ns_ = clock_.now().steady_ns;
  recorder_->commit(history_due_, [this](const storage::Report& report) { report_storage(report); });
  history_due_ = false;
}

void App::refresh(std::uint64_t second) {
  web::SourceStatusTable::Content content;
  content.sources.reserve(sources_->list().size());
  for (const auto& [key, status] : sources_->list())
    content.sources.push_back(status);
  ready_ = ready_ || sources_->settled();
  content.ready = ready_;
  content.notes = silent_rules_;
  const Stamp now = clock_.now();
  const std::vector<std::string> notes = recorder_->notes(now.steady_ns);
  content.notes.insert(content.notes.end(), notes.begin(), notes.end());
  if (const auto maintenance = dispatch_->maintenance())
    content.notes.push_back(fmt::format("Maintenance until {}: alerts are shown and not sent. {}",
                                        text::rfc3339(maintenance->until_ms), maintenance->reason));
  content.storage = writer_ == nullptr ? "off: totals restart at zero with each start of the daemon"
                                       : settings_.storage.path.native() +
                                             (changes_.storage_error().empty() ? "" : ": " + changes_.storage_error());
  source_status_.set(std::move(content));
  roster_->tick(now, settings_);
  changes_.notes(notes, now.steady_ns);
  settle(now);
  if (!announced_ && sources_->settled()) announce(now);
  service_.update(sources_->settled(), [&] {
    const auto bytes = writer_ ? std::optional(changes_.history_bytes()) : std::nullopt;
    return status_line(*sources_, latest_, now.steady_ns, server_->addresses(), bytes);
  });
  instruments_.http(server_->stats());
  dispatch_->tick();
  instruments_.log_dropped(log_.dropped());
  instruments_.series(latest_.fresh(now.steady_ns), recorder_->series().refused());
  instruments_.expired_totals(recorder_->expired_totals());
  changes_.series_refused(recorder_->series().refused_by_source(), now.steady_ns);
  if (second % process_seconds == 0) instruments_.process(watts_per_busy_cpu_);
}

// A first call gives no power of a counter and of a model, so that derived figures wait for the second one; not that of
// a source with a long period.
void App::settle(const Stamp& now) {
  if (settled_ns_ == 0 && sources_->settled()) settled_ns_ = now.steady_ns;
  const bool waits = !sources_->settled(2) && now.steady_ns - settled_ns_ < second_calls_ns;
  if (rows_settled_ || settled_ns_ == 0 || waits) return;
  rows_settled_ = true;
  recorder_->settle(true, now);
}

// Logs one "ready" line with the first numbers, once every source has had its first call. The node's power is derived
// from two energy readings, so this waits up to announce_wait_ns for it.
void App::announce(const Stamp& now) {
  std::string numbers;
  latest_.visit(now.steady_ns, [&numbers](const Metric& metric, std::string_view labels, double value) {
    if (&metric == &node_power) numbers = fmt::format("node {:.1f} W, {}", value, labels);
  });
  if (numbers.empty() && now.steady_ns - settled_ns_ < announce_wait_ns) return;
  announced_ = true;
  log_.info("ready", {{"series", std::to_string(latest_.fresh(now.steady_ns))},
                      {"power", numbers.empty() ? "unknown" : numbers}});
}

void App::report_storage(const storage::Report& report) {
  instruments_.storage(report);
  changes_.storage(report);
}

}  // namespace perjoule
