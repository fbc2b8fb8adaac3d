#include "storage/codec/rollup.hpp"

#include <algorithm>
#include <cmath>

namespace perjoule::storage {

namespace {

std::int64_t floor_to(std::int64_t stamp_ms, std::int64_t width_ms) {
  const std::int64_t rest = stamp_ms % width_ms;
  return stamp_ms - (rest < 0 ? rest + width_ms : rest);
}

// Adds `value`, which held for `seconds`, to the bucket's mean.
void weigh(Bucket& bucket, double value, double seconds) {
  if (seconds <= 0) return;
  const double all = bucket.seconds + seconds;
  // Weighted parts instead of mean += (value - mean) * share, which is NaN (inf - inf) when both are infinite.
  bucket.mean = bucket.seconds > 0 ? bucket.mean * (bucket.seconds / all) + value * (seconds / all) : value;
  bucket.seconds = all;
}

}  // namespace

void merge(Bucket& into, const Bucket& later) {
  if (later.count > 0) {
    into.min = into.count > 0 ? std::min(into.min, later.min) : later.min;
    into.max = into.count > 0 ? std::max(into.max, later.max) : later.max;
    into.last = later.last;
  }
  into.count += later.count;
  into.increase += later.increase;
  if (into.seconds <= 0 && later.seconds <= 0) into.mean = later.mean;
  weigh(into, later.mean, later.seconds);
}

namespace {

// The buckets of one call. The last one is open: its integral is summed up, and divided once when it is closed.
class OpenBuckets {
 public:
  OpenBuckets(std::vector<Bucket>& out, std::int64_t width_ms) : out_(out), width_ms_(width_ms) {}

  void stand(std::int64_t from_ms, std::int64_t to_ms, double value) {
    while (from_ms < to_ms) {
      if (from_ms >= end_ms_) begin(from_ms, value);
      const std::int64_t end_ms = std::min(to_ms, end_ms_);
      integral_ += value * static_cast<double>(end_ms - from_ms);
      stood_ms_ += end_ms - from_ms;
      from_ms = end_ms;
    }
  }
  void sample(std::int64_t stamp_ms, double value, double increase) {
    if (stamp_ms >= end_ms_) begin(stamp_ms, value);
    open_.min = open_.count == 0 ? value : std::min(open_.min, value);
    open_.max = open_.count == 0 ? value : std::max(open_.max, value);
    open_.last = value;
    ++open_.count;
    open_.increase += increase;
  }
  void close() {
    if (end_ms_ == INT64_MIN) return;
    open_.mean = stood_ms_ > 0 ? integral_ / static_cast<double>(stood_ms_) : open_.last;
    open_.seconds = static_cast<double>(stood_ms_) / 1e3;
    out_.push_back(open_);
  }

 private:
  void begin(std::int64_t stamp_ms, double value) {
    close();
    open_ = {};
    open_.start_ms = floor_to(stamp_ms, width_ms_);
    open_.min = open_.max = open_.last = value;
    end_ms_ = open_.start_ms + width_ms_;
    integral_ = 0;
    stood_ms_ = 0;
  }

  std::vector<Bucket>& out_;
  std::int64_t width_ms_;
  Bucket open_;
  std::int64_t end_ms_ = INT64_MIN;  // of the open bucket; none is open before the first
  double integral_ = 0;              // value times milliseconds
  std::int64_t stood_ms_ = 0;
};

}  // namespace

void Rollup::add(const SlotSamples& slot, std::optional<Carried>& before, bool counter,
                 std::vector<Bucket>& out) const {
  OpenBuckets buckets(out, width_ms_);
  bool known = before.has_value();
  Carried last = before.value_or(Carried{});
  const auto stand_until = [&](std::int64_t next_ms) {
    if (!known) return;
    buckets.stand(std::max(slot.from_ms, last.stamp_ms), std::min(next_ms, last.stamp_ms + hold_ms_), last.value);
  };
  for (std::size_t n = 0; n < slot.stamps_ms.size(); ++n) {
    const double value = slot.values[n];
    if (slot.present[n] == 0 || std::isnan(value)) continue;
    stand_until(slot.stamps_ms[n]);
    double increase = 0;
    if (counter && known) increase = value >= last.value ? value - last.value : value;
    buckets.sample(slot.stamps_ms[n], value, increase);
    last = {slot.stamps_ms[n], value};
    known = true;
  }
  stand_until(slot.until_ms);
  buckets.close();
  if (known) before = last;
}

}  // namespace perjoule::storage
