// Evaluates a PromQL expression over a Source, on the caller's thread. Keeps no state between calls.
//
// Results are those of Prometheus 2.42 (promql/engine.go): an instant selector gives the newest sample of the last five
// minutes, ranges include both ends, and a result with two series of the same labels is an error.
#pragma once

#include <string>
#include <vector>

#include "collectors/result.hpp"
#include "daemon/query/evaluate/source.hpp"
#include "daemon/query/evaluate/window.hpp"
#include "daemon/query/promql/expression.hpp"
#include "daemon/query/promql/limits.hpp"

namespace perjoule::query {

// One series of a result, with a value or `absent` for each step of the grid.
struct Row {
  Labels labels;
  std::vector<double> values;
};

struct Value {
  ValueType type = ValueType::scalar;
  std::vector<double> scalars;  // scalar: one value per step
  std::vector<Row> rows;        // vector: rows with a value at one step at least
  std::vector<Series> series;   // matrix: the samples themselves
  std::string text;             // string
  std::vector<std::string> warnings;
};

// On a grid with a step, the rows of a vector are sorted by their labels; otherwise they keep the order of evaluation.
// The caller must evaluate a matrix or a string at a single time only. Error with Fault::denied: the query exceeds
// `limits`, or two series have the same labels. Timeout and all other faults come from the source.
// `source_resolution_ms`: see Want.
[[nodiscard]] Result<Value> evaluate(const Expression& expression, const Grid& grid, Source& source,
                                     const Limits& limits, std::int64_t source_resolution_ms = 0);

}  // namespace perjoule::query
