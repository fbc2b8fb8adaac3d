// Roll-ups: a summary of a series over a minute or an hour, computed from samples. Buckets with the same start merge
// without loss, so an hour is built slot by slot as its slots are sealed. Pure; any thread.
//
// A value holds from its sample until the next one, at most `hold_ms`; a longer gap is not observed time. `mean` is
// weighted by time, and `seconds` is the observed time in the bucket, so mean * seconds is the integral (joules, for a
// power in watts). The increase of a counter between two samples belongs to the bucket of the later one, so increases
// add up over buckets and slots. A falling counter has restarted at 0, as in Prometheus. NaN is a hole.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace perjoule::storage {

inline constexpr std::int64_t minute_ms = 60'000;
inline constexpr std::int64_t hour_ms = 3'600'000;

inline constexpr std::int64_t hold_periods = 3;  // hold_ms in sampling periods: two missed samples are bridged

struct Bucket {
  std::int64_t start_ms = 0;  // a multiple of the width; the bucket is [start, start + width)
  double min = 0;             // min, max, last and count are of the samples whose timestamps lie inside
  double max = 0;
  double last = 0;
  std::int64_t count = 0;  // 0: no sample is inside; an earlier value, which still holds, is min, max and last
  double mean = 0;         // the last value, not weighted, if `seconds` is 0
  double seconds = 0;
  double increase = 0;  // of a counter; 0 for a gauge
};

// The last sample of a slot, which the roll-up of the next slot starts from.
struct Carried {
  std::int64_t stamp_ms = 0;
  double value = 0;
};

// The samples of one series in one slot: timestamps ascend within [from_ms, until_ms), `present` 0 is a hole.
struct SlotSamples {
  std::int64_t from_ms = 0;
  std::int64_t until_ms = 0;
  std::span<const std::int64_t> stamps_ms;
  std::span<const double> values;
  std::span<const std::uint8_t> present;
};

class Rollup {
 public:
  // Both > 0. `hold_ms` is hold_periods times the sampling period.
  Rollup(std::int64_t width_ms, std::int64_t hold_ms) : width_ms_(width_ms), hold_ms_(hold_ms) {}

  // Appends the slot's buckets to `out` in time order. If a bucket is wider than a slot, each of its slots appends a
  // part: merge parts with the same start. `before` is the newest sample of the earlier slots; the call sets it to the
  // newest of this one. It holds into this slot only from `from_ms` on, because the call for its own slot has counted
  // the time up to there. A slot without a call has no observed time.
  void add(const SlotSamples& slot, std::optional<Carried>& before, bool counter, std::vector<Bucket>& out) const;

 private:
  std::int64_t width_ms_;
  std::int64_t hold_ms_;
};

// `later` has the same start, and its samples are newer than those of `into`.
void merge(Bucket& into, const Bucket& later);

}  // namespace perjoule::storage
