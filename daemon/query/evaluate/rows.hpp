// Operators and aggregations over rows. Used by evaluator.cpp only. Pure; any thread.
#pragma once

#include <span>
#include <vector>

#include "collectors/result.hpp"
#include "daemon/query/evaluate/evaluator.hpp"

namespace perjoule::query {

// Removes the metric name from all rows. Returns whether the names differed, so that rows may now have equal labels.
bool drop_names(std::vector<Row>& rows);
// Prometheus' error for two rows with equal labels.
[[nodiscard]] Error alike_error();
// Whether two rows have equal labels.
[[nodiscard]] bool any_alike(const std::vector<Row>& rows);
// Merges rows with equal labels into one; alike_error() if two of them have a value at the same step.
[[nodiscard]] Result<void> merge_alike(std::vector<Row>& rows);
// Removes rows without a value at any step.
void erase_empty(std::vector<Row>& rows);

// `left op right`; a comparison gives 1 or 0.
[[nodiscard]] double compute(Operator op, double left, double right);
void compute_scalars(Operator op, std::vector<double>& left, std::span<const double> right);
// Combines every value of the rows with the scalar of its step. A comparison without `bool` keeps the values for which
// it is true and removes the others.
[[nodiscard]] Result<void> compute_rows(const Node& node, std::vector<Row>& rows, std::span<const double> scalars,
                                        bool scalar_is_left);

// One row per group of `by` or `without`, in the order in which the groups appear.
[[nodiscard]] std::vector<Row> aggregate(const Node& node, std::vector<Row> rows, std::size_t steps);

}  // namespace perjoule::query
