// Logs changes of state of sources and storage: one line per change, not one per tick or commit. A source that changes
// often is rate-limited (LogRateLimit). Loop's thread only; `log` outlives it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "daemon/base/log.hpp"
#include "daemon/sampling/sources.hpp"
#include "storage/sink.hpp"

namespace perjoule {

class ChangeLog {
 public:
  explicit ChangeLog(Log& log) : log_(log) {}

  void source(const SourceStatus& before, const SourceStatus& after, std::int64_t now_ns);
  // Items of a device that have changed: a line each, at most 20 of a source in a minute; the rest are counted.
  void items(const SourceStatus& status, std::span<const SourceItem> changed, std::int64_t now_ns);
  void storage(const storage::Report& report);
  // How long the commit under way has lasted; 0: none is. Called each second.
  void commit_pending(double seconds);

  // Readings without a series since the start, by source (SeriesTable). A line at the first, then at most one per
  // source in ten minutes while there are more.
  void series_refused(const std::map<std::string, std::uint64_t, std::less<>>& by_source, std::int64_t now_ns);

  // What an operator should know of derived figures (Recorder::notes()): a line for each that is new. Called each
  // second: also logs how many changes of items were not logged by themselves.
  void notes(std::vector<std::string> notes, std::int64_t now_ns);

  // Why storing fails: the error of the last commit, or that a commit hangs; "" if it works.
  [[nodiscard]] std::string storage_error() const;
  // Bytes of the history on disk at its last commit; 0 before the first.
  [[nodiscard]] std::int64_t history_bytes() const { return history_bytes_; }

 private:
  void reach(const storage::PerResolution<std::int64_t>& reach_ms);

  Log& log_;
  LogRateLimit rate_limit_;
  struct Items {
    std::int64_t since_ns = 0;
    int said = 0;  // in the minute since then
    int more = 0;
  };
  std::map<std::string, Items, std::less<>> items_;  // by source
  std::vector<std::string> notes_;                   // as last logged
  std::string storage_error_;
  double hangs_seconds_ = 0;                                      // 0: no commit hangs
  storage::PerResolution<std::int64_t> reach_ms_ = {-1, -1, -1};  // as last logged; 0: not limited by size
  std::int64_t history_bytes_ = 0;
  struct Refused {
    std::uint64_t count = 0;
    std::int64_t logged_ns = 0;
  };
  std::map<std::string, Refused, std::less<>> refused_;  // as last logged, by source
};

}  // namespace perjoule
