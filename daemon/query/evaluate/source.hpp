// Where a query finds its samples: the history as the evaluator sees it. Whoever runs queries implements it.
//
// A Source is called on the thread that evaluates, once per selector, one call at a time. Errors, by their fault:
// timeout: the deadline has passed (503); denied: more than the query may read (422); any other: the history failed
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
  std::vector<storage::Point> points;  // stamps ascend; none has the bits of window.hpp's `absent`
};

// What a point has to stand for where the history answers at a coarser resolution than it was sampled at.
enum class Aspect : std::uint8_t {
  last,  // the last sample: a selector as it stands, and what takes differences
  mean,
  min,
  max,
  sum,
  count,  // how many samples there were
};

struct Want {
  std::span<const Matcher> matchers;
  std::int64_t from_ms = 0;    // inclusive: nothing before it can change the answer
  std::int64_t to_ms = 0;      // inclusive
  std::int64_t step_ms = 0;    // between two results; 0: there is one
  std::int64_t window_ms = 0;  // of `[5m]`; 0: the newest sample of the last five minutes is wanted
  Aspect aspect = Aspect::last;
  std::int64_t source_resolution_ms = 0;  // points so far apart do, also where there are closer ones
  std::size_t series_max = 0;             // more of either is an error of fault denied
  std::size_t samples_max = 0;
};

struct Selected {
  std::vector<Series> series;  // no labels twice; by labels, so that answers have a stable order
  std::string warning;         // for the user, as "answered from minute roll-ups"; "" without
  bool rolled_up = false;      // a point stands for several samples, as the aspect says
};

class Source {
 public:
  virtual ~Source() = default;
  [[nodiscard]] virtual Result<Selected> select(const Want& want) = 0;
  // The labels of the series that have, or may have, samples from `from_ms` to `to_ms`, both inclusive; INT64_MIN and
  // INT64_MAX are no bounds. No matchers: all.
  [[nodiscard]] virtual Result<std::vector<Labels>> series(std::span<const Matcher> matchers, std::int64_t from_ms,
                                                           std::int64_t to_ms) = 0;
};

}  // namespace perjoule::query
