// The names of PromQL: what is answered, and what is known and refused. Pure; any thread.
#pragma once

#include <optional>
#include <string_view>

#include "daemon/query/promql/expression.hpp"
#include "daemon/query/promql/lexer.hpp"

namespace perjoule::query {

// A function has one argument, or none: `takes` says of which type.
struct Signature {
  std::string_view name;
  Function function = Function::rate;
  std::optional<ValueType> takes;
  ValueType gives = ValueType::vector;
};

// Null where it is not answered.
[[nodiscard]] const Signature* find_function(std::string_view name);
// Prometheus 2.42 has it, answered or not.
[[nodiscard]] bool is_known_function(std::string_view name);

// By its name in lower case.
[[nodiscard]] std::optional<Aggregator> find_aggregator(std::string_view name);
[[nodiscard]] bool is_known_aggregator(std::string_view name);

struct BinaryOperator {
  Operator op;
  int precedence;
};
inline constexpr int power_precedence = 4;  // the highest, and the only one that binds to the right

[[nodiscard]] std::optional<BinaryOperator> find_operator(TokenType type);

}  // namespace perjoule::query
