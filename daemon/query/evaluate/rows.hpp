// What operators and aggregations do with rows. For the evaluator alone. Pure.
#pragma once

#include <span>
#include <vector>

#include "collectors/result.hpp"
#include "daemon/query/evaluate/evaluator.hpp"

namespace perjoule::query {

// Takes the metric's name away. True: the names differed, so that rows may be alike now.
bool drop_names(std::vector<Row>& rows);
[[nodiscard]] Error alike_error();
[[nodiscard]] bool any_alike(const std::vector<Row>& rows);
// Makes one row of those that are alike, where at no step more than one has a value.
[[nodiscard]] Result<void> merge_alike(std::vector<Row>& rows);
void erase_empty(std::vector<Row>& rows);

// With the operands as they stand in the query.
[[nodiscard]] double compute(Operator op, double left, double right);
void compute_scalars(Operator op, std::vector<double>& left, std::span<const double> right);
// Every value of the rows with the scalar of its step. A comparison without bool keeps or drops values.
[[nodiscard]] Result<void> compute_rows(const Node& node, std::vector<Row>& rows, std::span<const double> scalars,
                                        bool scalar_is_left);

[[nodiscard]] std::vector<Row> aggregate(const Node& node, std::vector<Row> rows, std::size_t steps);

}  // namespace perjoule::query
