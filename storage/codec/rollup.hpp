// Roll-ups: what a series did in a minute or an hour. Made from samples; buckets of one hour merge without loss, so
// that an hour is made of its slots as they are sealed. Pure; any thread.
//
// A value stands from its sample until the next one, at most `hold_ms`: a longer silence is not observed. `mean` weighs
// by that time and `seconds` says how much of the bucket was observed; mean * seconds is the integral, joules for a
// power. What a counter grew between two samples belongs to the bucket of the later one, so that increases add up over
// buckets and slots; a fall is a restart at 0, as Prometheus counts it. NaN is a hole.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace perjoule::storage {

inline constexpr std::int64_t minute_ms = 60'000;
inline constexpr std::int64_t hour_ms = 3'600'000;

inline constexpr std::int64_t hold_periods = 3;  // so long a sample stands

struct Bucket {
  std::int64_t start_ms = 0;  // a multiple of the width, inclusive; the end is not
  double min = 0;             // min, max, last and count are of the samples whose stamps lie inside
  double max = 0;
  double last = 0;
  std::int64_t count = 0;  // 0: the series only stood into this bucket; min, max and last are the value that stood
  double mean = 0;         // the plain value where `seconds` is 0
  double seconds = 0;
  double increase = 0;  // what a counter grew; 0 for a gauge
};

// The sample before the ones to come: carried from one slot to the next.
struct Carried {
  std::int64_t stamp_ms = 0;
  double value = 0;
};

// The samples of one series in one slot: stamps ascend within [from_ms, until_ms), `present` 0 is a hole.
struct SlotSamples {
  std::int64_t from_ms = 0;
  std::int64_t until_ms = 0;
  std::span<const std::int64_t> stamps_ms;
  std::span<const double> values;
  std::span<const std::uint8_t> present;
};

class Rollup {
 public:
  // Both > 0. `hold_ms` is a few periods of the series.
  Rollup(std::int64_t width_ms, std::int64_t hold_ms) : width_ms_(width_ms), hold_ms_(hold_ms) {}

  // Appends the slot's buckets to `out` in time order. A bucket wider than a slot is begun by one call and continued by
  // the next: merge what has the same start. `before` is the newest sample of the slots before, and becomes that of
  // this one; it stands into this slot from `from_ms` on, because the call for its own slot has weighed it up to there.
  // A slot that this is not called for observed nothing.
  void add(const SlotSamples& slot, std::optional<Carried>& before, bool counter, std::vector<Bucket>& out) const;

 private:
  std::int64_t width_ms_;
  std::int64_t hold_ms_;
};

// `later` is of the same start, and its samples come behind those of `into`.
void merge(Bucket& into, const Bucket& later);

}  // namespace perjoule::storage
