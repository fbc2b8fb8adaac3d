#include "daemon/self/change_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <utility>

namespace perjoule {

namespace {

constexpr double hangs_after_seconds = 5;
constexpr std::int64_t minute_ns = 60'000'000'000;
constexpr int items_said_max = 20;
constexpr std::int64_t refused_again_ns = 600'000'000'000;

}  // namespace

void ChangeLog::source(const SourceStatus& before, const SourceStatus& after, std::int64_t now_ns) {
  const SourceState state = *after.state;
  const std::string_view was = before.state ? name(*before.state) : "starting";
  const bool bad = state == SourceState::denied || state == SourceState::error || state == SourceState::stuck;
  const std::string subject = after.device.empty() ? after.source : after.source + ' ' + after.device;
  const LogRateLimit::Verdict verdict = rate_limit_.ask(subject, now_ns);
  if (verdict == LogRateLimit::Verdict::hold) return;
  const std::string_view note =
      verdict == LogRateLimit::Verdict::say_last ? "changes too often; not logged for up to 10 minutes" : "";
  log_.write(bad ? config::LogLevel::warn : config::LogLevel::info, fmt::format("{} {}", subject, name(state)),
             {{"was", was}, {"why", after.what}, {"remedy", after.remedy}, {"note", note}});
}

void ChangeLog::items(const SourceStatus& status, std::span<const SourceItem> changed, std::int64_t now_ns) {
  Items& of = items_[status.source];
  if (now_ns - of.since_ns >= minute_ns) of = {now_ns, 0, of.more};
  for (const SourceItem& item : changed) {
    if (of.said >= items_said_max) {
      ++of.more;
      continue;
    }
    ++of.said;
    const bool bad = item.state != ItemState::ok && item.state != ItemState::absent;
    log_.write(bad ? config::LogLevel::warn : config::LogLevel::info,
               fmt::format("{} {}", status.source, name(item.state)),
               {{"device", status.device}, {"item", item.name}, {"why", item.what}, {"remedy", item.remedy}});
  }
}

void ChangeLog::notes(std::vector<std::string> notes, std::int64_t now_ns) {
  for (auto& [source, of] : items_) {
    if (of.more == 0 || now_ns - of.since_ns < minute_ns) continue;
    log_.warn(fmt::format("{}: more items have changed", source), {{"changes", std::to_string(of.more)}});
    of = {now_ns, 0, 0};
  }
  for (const std::string& note : notes) {
    if (std::find(notes_.begin(), notes_.end(), note) != notes_.end()) continue;
    if (rate_limit_.ask("notes", now_ns) != LogRateLimit::Verdict::hold) log_.warn(note, {});
  }
  notes_ = std::move(notes);
}

// Logs how far back each resolution reaches: when it is first known, and when one has changed by more than a quarter.
void ChangeLog::reach(const storage::PerResolution<std::int64_t>& reach_ms) {
  const auto differs = [](std::int64_t a, std::int64_t b) { return std::abs(a - b) > std::max(a, b) / 4; };
  if (std::equal(reach_ms.begin(), reach_ms.end(), reach_ms_.begin(), std::not_fn(differs))) return;
  reach_ms_ = reach_ms;
  const auto days = [](std::int64_t span_ms) {
    return span_ms == 0 ? std::string("all") : fmt::format("{:.1f} d", static_cast<double>(span_ms) / 86'400'000);
  };
  log_.info("history retention at the current write rate",
            {{"raw", days(reach_ms[0])}, {"minutes", days(reach_ms[1])}, {"hours", days(reach_ms[2])}});
}

// One line when storing starts to fail and one when it works again, not one per commit.
void ChangeLog::storage(const storage::Report& report) {
  if (report.history_committed) history_bytes_ = report.size.bytes;
  if (report.size.reach_ms) reach(*report.size.reach_ms);
  for (const std::string& note : report.notes)
    log_.warn("storage", {{"note", note}});
  if (report.error == storage_error_) return;
  if (storage_error_.empty()) {
    log_.error("storing fails; sampling and scraping go on", {{"error", report.error}});
  } else if (report.error.empty()) {
    log_.info("storing works again");
  }
  storage_error_ = report.error;
}

void ChangeLog::series_refused(const std::map<std::string, std::uint64_t, std::less<>>& by_source,
                               std::int64_t now_ns) {
  for (const auto& [source, count] : by_source) {
    Refused& logged = refused_[source];
    if (count == logged.count || (logged.count > 0 && now_ns - logged.logged_ns < refused_again_ns)) continue;
    log_.warn("limit of series reached: new ones are refused, the others go on",
              {{"source", source.empty() ? "perjouled" : source},
               {"readings", std::to_string(count - logged.count)},
               {"why", "the source has as many series as one may have, or all have together"},
               {"remedy", "look for a label of high cardinality, and at the runbook series-refused"}});
    logged = {count, now_ns};
  }
}

void ChangeLog::commit_pending(double seconds) {
  if (seconds < hangs_after_seconds) {
    if (hangs_seconds_ > 0) {
      log_.info("the disk of the storage answers again", {{"after", fmt::format("{:.0f} s", hangs_seconds_)}});
    }
    hangs_seconds_ = 0;
    return;
  }
  if (hangs_seconds_ == 0) {
    log_.error(
        "storing hangs; sampling and scraping go on",
        {{"error", fmt::format("a commit has not returned for {:.0f} s", seconds)},
         {"remedy", "look for a disk or file system that does not answer: dmesg, and the runbook storage-stuck"}});
  }
  hangs_seconds_ = seconds;
}

std::string ChangeLog::storage_error() const {
  if (hangs_seconds_ == 0) return storage_error_;
  return fmt::format("a commit has not returned for {:.0f} s", hangs_seconds_);
}

}  // namespace perjoule
