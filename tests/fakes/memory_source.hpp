// A query source over samples in memory, for tests of queries.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "daemon/query/evaluate/source.hpp"

namespace perjoule::query {

class MemorySource final : public Source {
 public:
  // Labels in any order; timestamps must ascend.
  void add(Labels labels, std::vector<storage::Point> points) {
    std::sort(labels.begin(), labels.end());
    const auto at = std::lower_bound(all_.begin(), all_.end(), labels,
                                     [](const Series& series, const Labels& wanted) { return series.labels < wanted; });
    all_.insert(at, {std::move(labels), std::move(points)});
  }

  Result<Selected> select(const Want& want) override {
    wants.push_back(want);
    if (error) return *error;
    Selected selected;
    selected.warning = warning;
    selected.rolled_up = rolled_up;
    std::size_t samples = 0;
    for (const Series& series : all_) {
      if (!match_all(want.matchers, series.labels)) continue;
      const auto [first, last] = range(series, want.from_ms, want.to_ms);
      if (first == last) continue;
      samples += static_cast<std::size_t>(last - first);
      if (samples > want.samples_max || selected.series.size() == want.series_max) {
        return Error{Fault::denied, "more than the query may read"};
      }
      selected.series.push_back({series.labels, {first, last}});
    }
    return selected;
  }

  Result<std::vector<Labels>> series(std::span<const Matcher> matchers, std::int64_t from_ms,
                                     std::int64_t to_ms) override {
    if (error) return *error;
    std::vector<Labels> found;
    for (const Series& series : all_) {
      if (!match_all(matchers, series.labels)) continue;
      const auto [first, last] = range(series, from_ms, to_ms);
      if (first != last) found.push_back(series.labels);
    }
    return found;
  }

  std::optional<Error> error;
  std::string warning;
  bool rolled_up = false;
  std::vector<Want> wants;  // the requests so far; their matchers no longer exist

 private:
  using At = std::vector<storage::Point>::const_iterator;
  static std::pair<At, At> range(const Series& series, std::int64_t from_ms, std::int64_t to_ms) {
    const auto begin =
        std::lower_bound(series.points.begin(), series.points.end(), from_ms,
                         [](const storage::Point& point, std::int64_t ms) { return point.wall_ms < ms; });
    const auto end = std::upper_bound(begin, series.points.end(), to_ms,
                                      [](std::int64_t ms, const storage::Point& point) { return ms < point.wall_ms; });
    return {begin, end};
  }

  std::vector<Series> all_;
};

}  // namespace perjoule::query
