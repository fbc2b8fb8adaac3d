#include "daemon/query/promql/parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "config/json_reader.hpp"
#include "config/text.hpp"
#include "daemon/query/promql/functions.hpp"
#include "daemon/query/promql/lexer.hpp"
#include "daemon/query/promql/limits.hpp"
#include "daemon/query/promql/literal.hpp"
#include "daemon/query/promql/selector_parser.hpp"

namespace perjoule::query {
namespace {

// Recursive descent. A function that fails has recorded the error in the reader and returns no_node; only the first
// error is kept. A type error is recorded with mistake() and reported only if there is no syntax error, as Prometheus
// checks types after parsing.
class Parser {
 public:
  explicit Parser(std::string_view query) : reader_(query) {}

  Result<Expression> run() {
    if (reader_.is(TokenType::end)) reader_.fail_at(0, "no expression found in input");
    const std::uint32_t root = failed() ? no_node : binary(1);
    if (!failed() && !reader_.is(TokenType::end)) refuse_rest();
    if (const auto error = reader_.outcome()) return *error;
    expression_.root = root;
    return std::move(expression_);
  }

 private:
  [[nodiscard]] bool failed() const { return reader_.error().has_value(); }
  Node& node(std::uint32_t index) { return expression_.nodes[index]; }

  std::uint32_t fail(const Token& token, std::string_view what) {
    reader_.fail(token, what);
    return no_node;
  }
  std::uint32_t fail_at(std::uint32_t at, std::string_view what) {
    reader_.fail_at(at, what);
    return no_node;
  }
  std::uint32_t unsupported(const Token& token, std::string_view what) {
    reader_.unsupported(token.at, what);
    return no_node;
  }

  std::uint32_t add(Node made) {
    for (const std::uint32_t child : {made.left, made.right}) {
      if (child != no_node) made.depth = std::max(made.depth, node(child).depth + 1);
    }
    if (made.depth > nesting_max)
      return fail_at(made.at, fmt::format("expression is nested more than {} levels deep", nesting_max));
    if (expression_.nodes.size() >= nodes_max)
      return fail_at(made.at, fmt::format("expression has more than {} nodes", nodes_max));
    expression_.nodes.push_back(std::move(made));
    return static_cast<std::uint32_t>(expression_.nodes.size() - 1);
  }

  // Reports what follows a complete expression: an unsupported operator or modifier, or an unexpected token.
  void refuse_rest() {
    const Token& token = reader_.token();
    const std::string word = reader_.keyword();
    if (token.type == TokenType::at) {
      unsupported(token, "@");
    } else if (word == "and" || word == "or" || word == "unless" || word == "atan2" || word == "offset") {
      unsupported(token, word);
    } else {
      reader_.unexpected("");
    }
  }

  // Parses operators of at least this precedence. They are left-associative, except ^.
  std::uint32_t binary(int precedence) {
    std::uint32_t left = unary();
    while (!failed()) {
      const auto op = find_operator(reader_.token().type);
      if (!op || op->precedence < precedence) break;
      const Token token = reader_.next_token();
      const bool returns_bool = reader_.keyword() == "bool";
      if (returns_bool) reader_.next_token();
      if (const std::string word = reader_.keyword(); word == "on" || word == "ignoring") {
        return unsupported(reader_.token(), fmt::format("vector matching with {}()", word));
      }
      const std::uint32_t right = binary(op->precedence == power_precedence ? op->precedence : op->precedence + 1);
      if (failed()) break;
      left = make_binary(token, op->op, returns_bool, left, right);
    }
    return failed() ? no_node : left;
  }

  std::uint32_t make_binary(const Token& token, Operator op, bool returns_bool, std::uint32_t left,
                            std::uint32_t right) {
    const ValueType left_type = node(left).value_type;
    const ValueType right_type = node(right).value_type;
    if (returns_bool && !is_comparison(op)) {
      reader_.mistake(token.at, "bool modifier can only be used on comparison operators");
    }
    const bool scalars = left_type == ValueType::scalar && right_type == ValueType::scalar;
    if (is_comparison(op) && !returns_bool && scalars) {
      reader_.mistake(token.at, "comparisons between scalars must use BOOL modifier");
    }
    for (const std::uint32_t side : {left, right}) {
      const ValueType type = node(side).value_type;
      if (type == ValueType::scalar || type == ValueType::vector) continue;
      reader_.mistake(node(side).at, "binary expression must contain only scalar and instant vector types");
    }
    if (left_type == ValueType::vector && right_type == ValueType::vector) {
      return unsupported(token, fmt::format("\"{}\" between two instant vectors", token.text));
    }
    Node made{.type = NodeType::binary, .at = node(left).at, .left = left, .right = right};
    made.value_type = scalars ? ValueType::scalar : ValueType::vector;
    made.op = op;
    made.returns_bool = returns_bool;
    return add(std::move(made));
  }

  std::uint32_t unary() {
    if (!reader_.is(TokenType::add) && !reader_.is(TokenType::subtract)) return postfix();
    const Token sign = reader_.next_token();
    const Descent descent(*this);
    if (!descent.allowed()) return no_node;
    const std::uint32_t operand = binary(power_precedence);
    if (failed()) return no_node;
    const ValueType type = node(operand).value_type;
    if (type != ValueType::scalar && type != ValueType::vector) {
      reader_.mistake(sign.at, fmt::format("unary expression only allowed on expressions of type scalar or instant "
                                           "vector, got \"{}\"",
                                           name(type)));
    }
    if (sign.type == TokenType::add) return operand;
    if (node(operand).type == NodeType::number) {
      node(operand).number = -node(operand).number;
      return operand;
    }
    Node made{.type = NodeType::negate, .at = sign.at, .left = operand};
    made.value_type = type;
    return add(std::move(made));
  }

  std::uint32_t postfix() {
    const bool parenthesised = reader_.is(TokenType::left_paren);
    const std::uint32_t operand = primary();
    while (!failed()) {
      const Token& token = reader_.token();
      if (token.type == TokenType::left_bracket) {
        range(operand, parenthesised);
      } else if (token.type == TokenType::at) {
        unsupported(token, "@");
      } else if (reader_.keyword() == "offset") {
        unsupported(token, "offset");
      } else {
        return operand;
      }
    }
    return no_node;
  }

  void range(std::uint32_t operand, bool parenthesised) {
    const Token bracket = reader_.next_token();
    const Token duration = reader_.token();
    if (!reader_.expect(TokenType::duration, "duration")) return;
    const auto range_ms = read_duration(duration.text);
    if (!range_ms) return reader_.fail(duration, "not a valid duration string: " + text::quoted_short(duration.text));
    if (*range_ms == 0) return reader_.fail(duration, "duration must be greater than 0");
    if (reader_.is(TokenType::colon)) return reader_.unsupported(bracket.at, "a subquery");
    if (!reader_.expect(TokenType::right_bracket, "\"]\"")) return;
    Node& selector = node(operand);
    if (selector.type != NodeType::selector || selector.range_ms != 0 || parenthesised) {
      return reader_.fail(bracket, "ranges only allowed for vector selectors");
    }
    selector.range_ms = *range_ms;
    selector.value_type = ValueType::matrix;
  }

  std::uint32_t primary() {
    const Token& token = reader_.token();
    switch (token.type) {
      case TokenType::number:
        return number(reader_.next_token());
      case TokenType::text:
        return text(reader_.next_token());
      case TokenType::left_paren:
        return parentheses();
      case TokenType::left_brace:
      case TokenType::metric_identifier:
        return selector();
      case TokenType::identifier:
        return identifier();
      default:
        reader_.unexpected("");
        return no_node;
    }
  }

  std::uint32_t number(const Token& token) {
    const auto value = read_number(token.text);
    if (!value) return fail(token, "error parsing number: " + text::quoted_short(token.text));
    return add({.type = NodeType::number, .value_type = ValueType::scalar, .at = token.at, .number = *value});
  }

  std::uint32_t text(const Token& token) {
    auto value = unquote(token.text);
    if (!value) return fail(token, "unknown escape sequence in " + text::quoted_short(token.text));
    return add({.type = NodeType::text, .value_type = ValueType::text, .at = token.at, .text = std::move(*value)});
  }

  std::uint32_t parentheses() {
    const Descent descent(*this);
    if (!descent.allowed()) return no_node;
    reader_.next_token();
    const std::uint32_t inside = binary(1);
    if (failed()) return no_node;
    if (!reader_.is(TokenType::right_paren)) {
      refuse_rest();
      return no_node;
    }
    reader_.next_token();
    return inside;
  }

  std::uint32_t selector() {
    auto matchers = reader_.matchers();
    if (failed()) return no_node;
    Node made{.type = NodeType::selector, .value_type = ValueType::vector, .at = matchers.at};
    made.matchers = std::move(matchers.matchers);
    return add(std::move(made));
  }

  // A metric name, a function call or an aggregation.
  std::uint32_t identifier() {
    const std::string word = reader_.keyword();
    const std::string after = reader_.keyword(1);
    if (is_known_aggregator(word) && (reader_.is(TokenType::left_paren, 1) || after == "by" || after == "without")) {
      const auto aggregator = find_aggregator(word);
      return aggregator ? aggregate(*aggregator) : unsupported(reader_.token(), word + "()");
    }
    if (word == "bool" || word == "on" || word == "ignoring" || word == "group_left" || word == "group_right") {
      reader_.unexpected("");
      return no_node;
    }
    return reader_.is(TokenType::left_paren, 1) ? call() : selector();
  }

  // The arguments of a function or an aggregation, with the parentheses. Returns false on an error.
  bool arguments(std::vector<std::uint32_t>& out) {
    const Descent descent(*this);
    if (!descent.allowed() || !reader_.expect(TokenType::left_paren, "\"(\"")) return false;
    while (!reader_.is(TokenType::right_paren)) {
      out.push_back(binary(1));
      if (failed()) return false;
      if (!reader_.is(TokenType::comma)) break;
      const Token comma = reader_.next_token();
      if (reader_.is(TokenType::right_paren)) {
        fail(comma, "trailing commas not allowed in function call args");
        return false;
      }
    }
    if (!reader_.is(TokenType::right_paren)) {
      refuse_rest();
      return false;
    }
    reader_.next_token();
    return true;
  }

  std::uint32_t call() {
    const Token token = reader_.next_token();
    if (!is_known_function(token.text))
      return fail(token, "unknown function with name " + text::quoted_short(token.text));
    const Signature* const signature = find_function(token.text);
    if (signature == nullptr) return unsupported(token, std::string(token.text) + "()");
    std::vector<std::uint32_t> given;
    if (!arguments(given)) return no_node;
    const std::size_t expected = signature->takes ? 1 : 0;
    if (given.size() != expected) {
      reader_.mistake(token.at, fmt::format("expected {} argument(s) in call to \"{}\", got {}", expected,
                                            signature->name, given.size()));
    } else if (expected == 1 && node(given[0]).value_type != *signature->takes) {
      reader_.mistake(node(given[0]).at,
                      fmt::format("expected type {} in call to function \"{}\", got {}", name(*signature->takes),
                                  signature->name, name(node(given[0]).value_type)));
    }
    Node made{.type = NodeType::call, .value_type = signature->gives, .at = token.at};
    if (!given.empty()) made.left = given[0];
    made.function = signature->function;
    return add(std::move(made));
  }

  std::uint32_t aggregate(Aggregator aggregator) {
    const Token token = reader_.next_token();
    Node made{.type = NodeType::aggregate, .value_type = ValueType::vector, .at = token.at};
    made.aggregator = aggregator;
    const bool before = !reader_.is(TokenType::left_paren);
    if (before && !reader_.grouping(made.grouping, made.without)) return no_node;
    std::vector<std::uint32_t> given;
    if (!arguments(given)) return no_node;
    const std::string after = reader_.keyword();
    if (!before && (after == "by" || after == "without") && !reader_.grouping(made.grouping, made.without)) {
      return no_node;
    }
    if (given.empty()) return fail(token, "no arguments for aggregate expression provided");
    if (given.size() != 1) {
      return fail(token, fmt::format("wrong number of arguments for aggregate expression provided, expected 1, got {}",
                                     given.size()));
    }
    const Node& argument = node(given[0]);
    if (argument.value_type != ValueType::vector) {
      reader_.mistake(argument.at, fmt::format("expected type instant vector in aggregation expression, got {}",
                                               name(argument.value_type)));
    }
    made.left = given[0];
    return add(std::move(made));
  }

  // Counts the depth of the recursion during its lifetime; fails beyond nesting_max, so that the stack cannot overflow.
  class Descent {
   public:
    explicit Descent(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ > nesting_max) {
        parser_.fail(parser_.reader_.token(),
                     fmt::format("expression is nested more than {} levels deep", nesting_max));
      }
    }
    ~Descent() { --parser_.depth_; }
    Descent(const Descent&) = delete;
    Descent& operator=(const Descent&) = delete;
    [[nodiscard]] bool allowed() const { return !parser_.failed(); }

   private:
    Parser& parser_;
  };

  SelectorReader reader_;
  Expression expression_;
  std::size_t depth_ = 0;
};

}  // namespace

Result<Expression> parse(std::string_view query) {
  if (query.size() > text_bytes_max) {
    return Error{Fault::broken,
                 fmt::format("the query has {} bytes; at most {} are allowed", query.size(), text_bytes_max)};
  }
  return Parser(query).run();
}

Result<std::vector<Matcher>> parse_selector(std::string_view query) {
  if (query.size() > text_bytes_max) {
    return Error{Fault::broken,
                 fmt::format("the selector has {} bytes; at most {} are allowed", query.size(), text_bytes_max)};
  }
  SelectorReader reader(query);
  if (reader.is(TokenType::end)) reader.fail_at(0, "no expression found in input");
  SelectorMatchers selector = reader.matchers();
  if (!reader.error() && !reader.is(TokenType::end)) reader.unexpected("");
  if (const auto error = reader.outcome()) return *error;
  return std::move(selector.matchers);
}

}  // namespace perjoule::query
