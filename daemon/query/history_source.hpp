// The Source over history.db: selects series by matchers and reads their points at a suitable resolution. On the thread
// and the connection of storage::HistoryReader.
//
// The grain of a selector is its window (for rate, increase, delta and last_over_time a quarter of it, so that a window
// has 4 points), or without a window its step (for an instant query an hour). The first line that applies decides:
//
//   raw samples   a window with a grain below 1 minute
//   raw samples   the range is at most 2 days, or the grain below 1 minute; and raw samples reach back to the start of
//                 the range, or about as far as the roll-ups
//   minutes       the grain is below 1 hour
//   minutes       the range is at most 60 days; and minutes reach back to its start, or about as far as hours
//   hours
//
// Before that: with `max_source_resolution` (Thanos) a roll-up of at most that width, and at most the grain, is
// preferred to raw samples. An answer from roll-ups has a warning.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "daemon/query/evaluate/source.hpp"
#include "storage/history/history_reader.hpp"

namespace perjoule::query {

class HistorySource final : public Source {
 public:
  explicit HistorySource(storage::Connection& connection) : connection_(connection) {}
  // `late` returns true once the deadline has passed; then matching and reading stop with Fault::timeout. Set before
  // each query.
  void set_late(std::function<bool()> late) { late_ = std::move(late); }

  [[nodiscard]] Result<Selected> select(const Want& want) override;
  [[nodiscard]] Result<std::vector<Labels>> series(std::span<const Matcher> matchers, std::int64_t from_ms,
                                                   std::int64_t to_ms) override;

 private:
  struct StoredSeries {
    std::int64_t id = 0;
    Labels labels;
  };
  [[nodiscard]] Result<void> refresh();
  [[nodiscard]] Result<std::vector<const StoredSeries*>> matching(std::span<const Matcher> matchers) const;
  // Leaves only series that have, or may have, samples in the range.
  [[nodiscard]] Result<void> keep_present(std::vector<const StoredSeries*>& found, std::int64_t from_ms,
                                          std::int64_t to_ms);
  [[nodiscard]] Result<storage::Resolution> allowed_roll_up(const Want& want, std::int64_t width_ms);
  [[nodiscard]] Result<storage::Resolution> resolution_for(const Want& want);
  [[nodiscard]] Result<void> take_raw(const Want& want, std::span<const std::int64_t> ids, Selected& selected);
  [[nodiscard]] Result<void> take_buckets(const Want& want, storage::Resolution resolution,
                                          std::span<const std::int64_t> ids, Selected& selected);

  storage::Connection& connection_;
  std::function<bool()> late_;
  std::vector<StoredSeries> stored_;                                      // sorted by labels
  std::map<std::string, std::vector<std::size_t>, std::less<>> by_name_;  // indexes in stored_ by metric name
  // PRAGMA data_version at the last refresh: it changes when another connection commits.
  std::int64_t version_ = -1;
  std::pair<std::int64_t, std::string> seen_ = {-1,
                                                {}};  // the number of series at the last refresh, and the newest one
};

// Labels in the exposition format, `a="b",c="d\"e"`, as a value with the metric's name as __name__. Empty labels are
// left out, because to PromQL they do not exist.
[[nodiscard]] Labels to_labels(std::string_view metric, std::string_view text);

// One point per bucket of `width_ms`, in time order, with the timestamp of the bucket's last millisecond. For a
// selector without a window: one point per step, with the newest bucket at that step.
[[nodiscard]] std::vector<storage::Point> to_points(std::span<const storage::Bucket> buckets, std::int64_t width_ms,
                                                    const Want& want);

}  // namespace perjoule::query
