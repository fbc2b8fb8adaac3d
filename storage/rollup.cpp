#include "storage/rollup.hpp"

#include <algorithm>
#include <cmath>

namespace perjoule::storage {

namespace {

std::int64_t floor_to(std::int64_t stamp_ms, std::int64_t width_ms) {
  const std::int64_t rest = stamp_ms % width_ms;
  return stamp_ms - (rest < 0 ? rest + width_ms : rest);
}

void weigh(Bucket& bucket, double value, double seconds) {
  if (seconds <= 0) return;
  const double all = bucket.seconds + seconds;
  // Not the sum over the whole: an infinity that stood would be taken off an infinity.
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

Bucket& Rollup::bucket_of(std::int64_t stamp_ms, double value, std::vector<Bucket>& out, std::size_t begin) const {
  const std::int64_t start_ms = floor_to(stamp_ms, width_ms_);
  if (out.size() == begin || out.back().start_ms != start_ms) {
    Bucket fresh;
    fresh.start_ms = start_ms;
    fresh.min = fresh.max = fresh.last = fresh.mean = value;
    out.push_back(fresh);
  }
  return out.back();
}

void Rollup::add(const SlotSamples& slot, std::optional<Carried>& before, bool counter,
                 std::vector<Bucket>& out) const {
  const std::size_t begin = out.size();
  const auto stand_until = [&](std::int64_t next_ms) {
    if (!before) return;
    const std::int64_t to_ms = std::min(next_ms, before->stamp_ms + hold_ms_);
    for (std::int64_t at_ms = std::max(slot.from_ms, before->stamp_ms); at_ms < to_ms;) {
      const std::int64_t end_ms = std::min(floor_to(at_ms, width_ms_) + width_ms_, to_ms);
      weigh(bucket_of(at_ms, before->value, out, begin), before->value, static_cast<double>(end_ms - at_ms) / 1e3);
      at_ms = end_ms;
    }
  };
  for (std::size_t n = 0; n < slot.stamps_ms.size(); ++n) {
    const double value = slot.values[n];
    if (slot.present[n] == 0 || std::isnan(value)) continue;
    stand_until(slot.stamps_ms[n]);
    Bucket& bucket = bucket_of(slot.stamps_ms[n], value, out, begin);
    Bucket sample;
    sample.min = sample.max = sample.last = sample.mean = value;
    sample.count = 1;
    if (counter && before) sample.increase = value >= before->value ? value - before->value : value;
    merge(bucket, sample);
    before = Carried{slot.stamps_ms[n], value};
  }
  stand_until(slot.until_ms);
}

}  // namespace perjoule::storage
