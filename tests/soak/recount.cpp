#include "tests/soak/recount.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "storage/history/history_reader.hpp"
#include "storage/history/slot.hpp"
#include "tests/soak/bucket_count.hpp"

namespace perjoule {

namespace {

using storage::Bucket;
using storage::hour_ms;
using storage::minute_ms;
using storage::Point;
using storage::Resolution;

// Increases are compared only in series whose values are below this: random histories also contain arbitrary bits, and
// sums of huge values are inexact.
constexpr double tame = 1e9;

struct Count : BucketCount {
  double over_gaps = 0;  // the part of `increase` after a slot without samples, which a roll-up may not have
};

std::map<std::int64_t, Count> count_of(const std::vector<Point>& points, std::int64_t width_ms) {
  std::map<std::int64_t, Count> counts;
  const Point* before = nullptr;
  for (const Point& point : points) {
    if (std::isnan(point.value)) continue;
    Count& count = counts[point.wall_ms / width_ms * width_ms];
    count.add(point.value);
    // A counter that falls has restarted at 0.
    if (before != nullptr) {
      const double increase = point.value - (point.value >= before->value ? before->value : 0);
      count.increase += increase;
      if (point.wall_ms - before->wall_ms > storage::slot_ms) count.over_gaps += increase;
    }
    before = &point;
  }
  return counts;
}

// Increases are rounded to the last decimal place of the values in their slot (storage/codec/rollup_block.hpp). By
// chance these have few decimals, so a difference of 0.051 is allowed.
bool is_increase(double is, const Count& count) {
  const auto same = [&](double wanted) { return std::fabs(is - wanted) <= 0.051 + 1e-9 * wanted; };
  return same(count.increase) || same(count.increase - count.over_gaps);
}

class Recount {
 public:
  Recount(storage::Connection& connection, std::int64_t& buckets) : connection_(connection), buckets_(buckets) {}

  [[nodiscard]] std::string run() {
    auto oldest = storage::HistoryReader::oldest_ms(connection_);
    storage::HistoryReader reader(connection_);
    auto series = reader.series("");
    if (!oldest || !series) return "history.db cannot be read";
    oldest_ms_ = *oldest;
    for (const auto& each : *series) {
      const std::int64_t ids[] = {each.id};
      auto points = reader.raw(ids, {}, SIZE_MAX);
      if (!points) return points.error().what;
      for (const Resolution resolution : {Resolution::minute, Resolution::hour}) {
        auto buckets = reader.buckets(ids, {}, resolution, SIZE_MAX);
        if (!buckets) return buckets.error().what;
        std::string problem =
            compare(each, points->front(), buckets->front(), resolution == Resolution::hour ? hour_ms : minute_ms);
        if (!problem.empty())
          return fmt::format("{}{{{}}}: {}", each.description.metric, each.description.labels, problem);
      }
    }
    return "";
  }

 private:
  [[nodiscard]] std::string compare(const storage::StoredSeries& series, const std::vector<Point>& points,
                                    const std::vector<Bucket>& buckets, std::int64_t width_ms) {
    const bool wild =
        std::any_of(points.begin(), points.end(), [](const Point& point) { return !(std::fabs(point.value) <= tame); });
    const std::int64_t first_ms = points.empty() ? 0 : points.front().wall_ms;
    std::map<std::int64_t, Count> counts = count_of(points, width_ms);
    for (const Bucket& is : buckets) {
      if (is.start_ms < oldest_ms_ || is.count == 0) continue;
      ++buckets_;
      const Count wanted = counts[is.start_ms];
      counts.erase(is.start_ms);
      // The increase of the first sample is unknown here.
      const bool grew = series.description.kind == Kind::counter && !wild && is.start_ms > first_ms;
      if (is.count == wanted.count && is.min == wanted.min && is.max == wanted.max && is.last == wanted.last &&
          (!grew || is_increase(is.increase, wanted))) {
        continue;
      }
      return fmt::format("the bucket of {} s at {} is {} {} {} {} +{}, not {} {} {} {} +{}", width_ms / 1000,
                         is.start_ms, is.min, is.max, is.last, is.count, is.increase, wanted.min, wanted.max,
                         wanted.last, wanted.count, wanted.increase);
    }
    for (const auto& [start_ms, count] : counts) {
      if (start_ms >= oldest_ms_) return fmt::format("the bucket of {} s at {} is missing", width_ms / 1000, start_ms);
    }
    return "";
  }

  storage::Connection& connection_;
  std::int64_t& buckets_;
  std::int64_t oldest_ms_ = 0;
};

}  // namespace

std::string recount(const std::filesystem::path& history, std::int64_t& buckets) {
  auto connection = storage::open_history(history);
  if (!connection) return connection.error().what;
  return Recount(*connection, buckets).run();
}

}  // namespace perjoule
