// A PromQL expression tree, as parser.hpp returns it. Plain values; any thread.
//
// The nodes are stored in one vector and refer to each other by index, children before their parents. So a deep
// expression is freed without recursion.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/query/promql/matcher.hpp"

namespace perjoule::query {

enum class ValueType : std::uint8_t { scalar, vector, matrix, text };

// The name in Prometheus' messages, for example "instant vector".
[[nodiscard]] std::string_view name(ValueType type);

enum class NodeType : std::uint8_t { number, text, selector, call, aggregate, negate, binary };

enum class Function : std::uint8_t {
  rate,
  increase,
  delta,
  avg_over_time,
  min_over_time,
  max_over_time,
  sum_over_time,
  count_over_time,
  last_over_time,
  scalar,
  time,
  vector,
};

enum class Aggregator : std::uint8_t { sum, avg, min, max, count };

enum class Operator : std::uint8_t {
  add,
  subtract,
  multiply,
  divide,
  modulo,
  power,
  equal,
  not_equal,
  greater,
  less,
  greater_equal,
  less_equal,
};

constexpr bool is_comparison(Operator op) {
  return op >= Operator::equal;
}

inline constexpr std::uint32_t no_node = UINT32_MAX;

struct Node {
  NodeType type = NodeType::number;
  ValueType value_type = ValueType::scalar;
  std::uint32_t at = 0;          // byte offset in the query
  std::uint32_t depth = 1;       // levels of the subtree, this node included
  std::uint32_t left = no_node;  // operand or argument
  std::uint32_t right = no_node;

  double number = 0;
  std::string text = {};

  std::vector<Matcher> matchers = {};  // of a selector
  std::int64_t range_ms = 0;           // 0: an instant selector

  Function function = Function::rate;
  Aggregator aggregator = Aggregator::sum;
  std::vector<std::string> grouping = {};  // sorted
  bool without = false;                    // `grouping` has the labels to remove (without), not those to keep (by)
  Operator op = Operator::add;
  bool returns_bool = false;
};

struct Expression {
  std::vector<Node> nodes;
  std::uint32_t root = 0;

  [[nodiscard]] ValueType type() const { return nodes[root].value_type; }
};

}  // namespace perjoule::query
