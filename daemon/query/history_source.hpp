// The history of history.db as the evaluator sees it: series by their matchers, points at the resolution that fits.
//
// Raw samples answer as long as they are kept and the range is no longer than two days. Beyond, minutes answer steps
// and windows of a minute and more, and hours those of an hour and more, and the answer says so. A single result is
// content with any; finer steps want raw samples over any range, and get minutes where those are kept no more. The
// thread and the connection are storage::HistoryReader's.
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
  // `late`: whether whoever asked has stopped waiting; it may be changed between two queries.
  explicit HistorySource(storage::Connection& connection) : connection_(connection) {}
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
  [[nodiscard]] std::vector<const StoredSeries*> matching(std::span<const Matcher> matchers) const;
  [[nodiscard]] Result<storage::Resolution> allowed_roll_up(const Want& want, std::int64_t width_ms);
  [[nodiscard]] Result<storage::Resolution> resolution_for(const Want& want);
  [[nodiscard]] Result<void> take_raw(const Want& want, std::span<const std::int64_t> ids, Selected& selected);
  [[nodiscard]] Result<void> take_buckets(const Want& want, storage::Resolution resolution,
                                          std::span<const std::int64_t> ids, Selected& selected);

  storage::Connection& connection_;
  std::function<bool()> late_;
  std::vector<StoredSeries> stored_;  // by labels
  std::map<std::string, std::vector<std::size_t>, std::less<>> by_name_;
  std::int64_t version_ = -1;  // of the file's data, which changes with each commit of others
  std::pair<std::int64_t, std::string> seen_ = {-1, {}};  // how many series there were, and the newest
};

// `a="b",c="d\"e"` of exposition format as labels, with the metric's name.
[[nodiscard]] Labels to_labels(std::string_view metric, std::string_view text);

// The points that stand for `buckets` of `width_ms`, in time order: stamped with the last millisecond of each, or for a
// selector without a window with the step at which it is the newest.
[[nodiscard]] std::vector<storage::Point> to_points(std::span<const storage::Bucket> buckets, std::int64_t width_ms,
                                                    const Want& want);

}  // namespace perjoule::query
