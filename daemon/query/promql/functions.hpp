// The function, aggregation and operator names of PromQL. Names of Prometheus 2.42 that are not supported here are
// known too, so that they are refused as unsupported and not as a spelling mistake. Pure; any thread.
#pragma once

#include <optional>
#include <string_view>

#include "daemon/query/promql/expression.hpp"
#include "daemon/query/promql/lexer.hpp"

namespace perjoule::query {

// A supported function. It has one argument of type `takes`, or no argument.
struct Signature {
  std::string_view name;
  Function function = Function::rate;
  std::optional<ValueType> takes;
  ValueType gives = ValueType::vector;
};

// Null if it is not supported.
[[nodiscard]] const Signature* find_function(std::string_view name);
// Whether Prometheus 2.42 has this function, supported here or not.
[[nodiscard]] bool is_known_function(std::string_view name);

// `name` is in lower case.
[[nodiscard]] std::optional<Aggregator> find_aggregator(std::string_view name);
[[nodiscard]] bool is_known_aggregator(std::string_view name);

struct BinaryOperator {
  Operator op;
  int precedence;
};
inline constexpr int power_precedence = 4;  // of ^: the highest, and the only right-associative one

[[nodiscard]] std::optional<BinaryOperator> find_operator(TokenType type);

}  // namespace perjoule::query
