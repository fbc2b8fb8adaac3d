// The interface through which the evaluator reads samples. history_source.hpp implements it over history.db; tests have
// one in memory.
//
// A Source is called on the thread that evaluates, once per selector, one call at a time. Errors by fault: timeout: the
// deadline has passed (HTTP 503); denied: a limit of the query is exceeded (422); any other: reading the history failed
// (500).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "collectors/result.hpp"
#include "daemon/query/promql/matcher.hpp"
#include "storage/store.hpp"

namespace perjoule::query {

struct Series {
  Labels labels;
  std::vector<storage::Point> points;  // ascending timestamps, with the end marks of the history (store.hpp)
};

// Which value of a bucket a point must have if the history answers from roll-ups instead of raw samples.
enum class Aspect : std::uint8_t {
  last,  // the last sample: for a plain selector, last_over_time, and differences (rate, increase, delta)
  mean,
  min,
  max,
  sum,
  count,  // the number of samples
};

// What one selector of a query needs.
struct Want {
  std::span<const Matcher> matchers;
  std::int64_t from_ms = 0;    // inclusive; wall clock. Samples before it do not affect the result
  std::int64_t to_ms = 0;      // inclusive
  std::int64_t step_ms = 0;    // between two steps; 0: a single step
  std::int64_t window_ms = 0;  // the range in `[5m]`; 0: an instant selector (newest sample of the last 5 minutes)
  Aspect aspect = Aspect::last;
  std::int64_t source_resolution_ms = 0;  // roll-ups this coarse may be used although finer samples exist
  std::size_t series_max = 0;             // exceeding either limit is an error with Fault::denied
  std::size_t samples_max = 0;
};

struct Selected {
  std::vector<Series> series;  // sorted by labels, no duplicates, so that answers have a stable order
  std::string warning;         // for the user, such as "answered from minute roll-ups"; "": none
  bool rolled_up = false;      // each point stands for the samples of one bucket, as the aspect says
};

class Source {
 public:
  virtual ~Source() = default;
  [[nodiscard]] virtual Result<Selected> select(const Want& want) = 0;
  // The labels of the series that have or may have samples from `from_ms` to `to_ms`, both inclusive. INT64_MIN and
  // INT64_MAX mean no limit. Without matchers: all series.
  [[nodiscard]] virtual Result<std::vector<Labels>> series(std::span<const Matcher> matchers, std::int64_t from_ms,
                                                           std::int64_t to_ms) = 0;
};

}  // namespace perjoule::query
