#include "daemon/query/promql/functions.hpp"

#include <algorithm>
#include <array>

namespace perjoule::query {
namespace {

constexpr std::array<Signature, 12> signatures = {{
    {"rate", Function::rate, ValueType::matrix, ValueType::vector},
    {"increase", Function::increase, ValueType::matrix, ValueType::vector},
    {"delta", Function::delta, ValueType::matrix, ValueType::vector},
    {"avg_over_time", Function::avg_over_time, ValueType::matrix, ValueType::vector},
    {"min_over_time", Function::min_over_time, ValueType::matrix, ValueType::vector},
    {"max_over_time", Function::max_over_time, ValueType::matrix, ValueType::vector},
    {"sum_over_time", Function::sum_over_time, ValueType::matrix, ValueType::vector},
    {"count_over_time", Function::count_over_time, ValueType::matrix, ValueType::vector},
    {"last_over_time", Function::last_over_time, ValueType::matrix, ValueType::vector},
    {"scalar", Function::scalar, ValueType::vector, ValueType::scalar},
    {"time", Function::time, std::nullopt, ValueType::scalar},
    {"vector", Function::vector, ValueType::scalar, ValueType::vector},
}};

constexpr std::string_view known_functions[] = {"abs",
                                                "absent",
                                                "absent_over_time",
                                                "acos",
                                                "acosh",
                                                "asin",
                                                "asinh",
                                                "atan",
                                                "atanh",
                                                "ceil",
                                                "changes",
                                                "clamp",
                                                "clamp_max",
                                                "clamp_min",
                                                "cos",
                                                "cosh",
                                                "day_of_month",
                                                "day_of_week",
                                                "day_of_year",
                                                "days_in_month",
                                                "deg",
                                                "deriv",
                                                "exp",
                                                "floor",
                                                "histogram_count",
                                                "histogram_fraction",
                                                "histogram_quantile",
                                                "histogram_sum",
                                                "holt_winters",
                                                "hour",
                                                "idelta",
                                                "irate",
                                                "label_join",
                                                "label_replace",
                                                "ln",
                                                "log10",
                                                "log2",
                                                "minute",
                                                "month",
                                                "pi",
                                                "predict_linear",
                                                "present_over_time",
                                                "quantile_over_time",
                                                "rad",
                                                "resets",
                                                "round",
                                                "sgn",
                                                "sin",
                                                "sinh",
                                                "sort",
                                                "sort_desc",
                                                "sqrt",
                                                "stddev_over_time",
                                                "stdvar_over_time",
                                                "tan",
                                                "tanh",
                                                "timestamp",
                                                "year"};

constexpr std::array<std::string_view, 5> aggregators = {"sum", "avg", "min", "max", "count"};
constexpr std::string_view known_aggregators[] = {"topk",   "bottomk", "quantile", "count_values",
                                                  "stddev", "stdvar",  "group"};

}  // namespace

std::string_view name(ValueType type) {
  switch (type) {
    case ValueType::scalar:
      return "scalar";
    case ValueType::vector:
      return "instant vector";
    case ValueType::matrix:
      return "range vector";
    case ValueType::text:
      return "string";
  }
  return "unknown";
}

const Signature* find_function(std::string_view name) {
  const auto* const at = std::find_if(signatures.begin(), signatures.end(),
                                      [name](const Signature& signature) { return signature.name == name; });
  return at == signatures.end() ? nullptr : at;
}

bool is_known_function(std::string_view name) {
  return find_function(name) != nullptr ||
         std::find(std::begin(known_functions), std::end(known_functions), name) != std::end(known_functions);
}

std::optional<Aggregator> find_aggregator(std::string_view name) {
  const auto* const at = std::find(aggregators.begin(), aggregators.end(), name);
  if (at == aggregators.end()) return std::nullopt;
  return static_cast<Aggregator>(at - aggregators.begin());
}

bool is_known_aggregator(std::string_view name) {
  return find_aggregator(name) ||
         std::find(std::begin(known_aggregators), std::end(known_aggregators), name) != std::end(known_aggregators);
}

std::optional<BinaryOperator> find_operator(TokenType type) {
  switch (type) {
    case TokenType::add:
      return BinaryOperator{Operator::add, 2};
    case TokenType::subtract:
      return BinaryOperator{Operator::subtract, 2};
    case TokenType::multiply:
      return BinaryOperator{Operator::multiply, 3};
    case TokenType::divide:
      return BinaryOperator{Operator::divide, 3};
    case TokenType::modulo:
      return BinaryOperator{Operator::modulo, 3};
    case TokenType::power:
      return BinaryOperator{Operator::power, power_precedence};
    case TokenType::equal:
      return BinaryOperator{Operator::equal, 1};
    case TokenType::not_equal:
      return BinaryOperator{Operator::not_equal, 1};
    case TokenType::greater:
      return BinaryOperator{Operator::greater, 1};
    case TokenType::less:
      return BinaryOperator{Operator::less, 1};
    case TokenType::greater_equal:
      return BinaryOperator{Operator::greater_equal, 1};
    case TokenType::less_equal:
      return BinaryOperator{Operator::less_equal, 1};
    default:
      return std::nullopt;
  }
}

}  // namespace perjoule::query
