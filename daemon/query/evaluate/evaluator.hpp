// Evaluates an expression over a source. Reads through the source alone; on the caller's thread; keeps nothing.
//
// Results are those of Prometheus 2.42 (its promql/engine.go): the newest sample of the last five minutes stands for an
// instant, ranges include both ends, and two series of a result that differ in nothing are an error.
#pragma once

#include <string>
#include <vector>

#include "collectors/result.hpp"
#include "daemon/query/evaluate/source.hpp"
#include "daemon/query/evaluate/window.hpp"
#include "daemon/query/promql/expression.hpp"
#include "daemon/query/promql/limits.hpp"

namespace perjoule::query {

// A series of a result, a value or `absent` for each step of the grid.
struct Row {
  Labels labels;
  std::vector<double> values;
};

struct Value {
  ValueType type = ValueType::scalar;
  std::vector<double> scalars;  // of a scalar: one for each step
  std::vector<Row> rows;        // of a vector: none is absent at every step
  std::vector<Series> series;   // of a matrix: samples as they are
  std::string text;
  std::vector<std::string> warnings;
};

// On a grid with a step the rows of a vector are sorted by their labels, else they stand as they were evaluated.
// A matrix or a text is evaluated at one time: the caller sees to it. Denied: refused while it was evaluated, for its
// cost or for series that are alike. Timeout and all others: the source's own.
// `source_resolution_ms` is what Want says of it.
[[nodiscard]] Result<Value> evaluate(const Expression& expression, const Grid& grid, Source& source,
                                     const Limits& limits, std::int64_t source_resolution_ms = 0);

}  // namespace perjoule::query
