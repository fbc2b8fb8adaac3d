#include "daemon/query/promql/parser.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <random>

#include "daemon/query/promql/limits.hpp"

namespace perjoule::query {
namespace {

std::string matchers_text(const std::vector<Matcher>& matchers) {
  constexpr std::string_view signs[] = {"=", "!=", "=~", "!~"};
  std::string text;
  for (const Matcher& matcher : matchers) {
    text += fmt::format("{}{}{}{}", text.empty() ? "" : ",", matcher.name, signs[static_cast<int>(matcher.type)],
                        matcher.value);
  }
  return "{" + text + "}";
}

// The expression tree in prefix notation.
std::string tree(const Expression& expression, std::uint32_t index) {
  constexpr std::string_view operators[] = {"+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<="};
  const Node& node = expression.nodes[index];
  switch (node.type) {
    case NodeType::number:
      return fmt::format("{}", node.number);
    case NodeType::text:
      return "'" + node.text + "'";
    case NodeType::selector:
      return matchers_text(node.matchers) + (node.range_ms > 0 ? fmt::format("[{}]", node.range_ms) : "");
    case NodeType::call:
      return fmt::format("f{}({})", static_cast<int>(node.function),
                         node.left == no_node ? "" : tree(expression, node.left));
    case NodeType::aggregate:
      return fmt::format("a{}{}({})({})", static_cast<int>(node.aggregator), node.without ? "without" : "by",
                         fmt::join(node.grouping, ","), tree(expression, node.left));
    case NodeType::negate:
      return "(neg " + tree(expression, node.left) + ")";
    case NodeType::binary:
      return fmt::format("({}{} {} {})", operators[static_cast<int>(node.op)], node.returns_bool ? " bool" : "",
                         tree(expression, node.left), tree(expression, node.right));
  }
  return "?";
}

// The tree, or the error message.
std::string read(std::string_view query) {
  const auto expression = parse(query);
  return expression ? tree(*expression, expression->root) : expression.error().what;
}

}  // namespace

TEST_CASE("selectors") {
  CHECK(read("up") == "{__name__=up}");
  CHECK(read("node:up:sum") == "{__name__=node:up:sum}");
  CHECK(read("up{}") == "{__name__=up}");
  CHECK(read(R"(up{gpu="0", uuid!='a',chip=~`k.*`,role!~"x",})") == "{__name__=up,gpu=0,uuid!=a,chip=~k.*,role!~x}");
  CHECK(read(R"({__name__="up"})") == "{__name__=up}");
  CHECK(read("up [ 1h30m ]") == "{__name__=up}[5400000]");
  CHECK(read("sum") == "{__name__=sum}");
  CHECK(read("rate{offset='1'}") == "{__name__=rate,offset=1}");
}

TEST_CASE("precedence and associativity of operators") {
  CHECK(read("1 + 2 * 3") == "(+ 1 (* 2 3))");
  CHECK(read("1 - 2 - 3") == "(- (- 1 2) 3)");
  CHECK(read("2 ^ 3 ^ 2") == "(^ 2 (^ 3 2))");
  CHECK(read("(1 + 2) * 3") == "(* (+ 1 2) 3)");
  CHECK(read("-up ^ 2") == "(neg (^ {__name__=up} 2))");
  CHECK(read("-up * 2") == "(* (neg {__name__=up}) 2)");
  CHECK(read("2 ^ -1 * 3") == "(* (^ 2 -1) 3)");
  CHECK(read("2 ^ - 1 ^ 2") == "(^ 2 (neg (^ 1 2)))");
  CHECK(read("-1") == "-1");
  CHECK(read("+up") == "{__name__=up}");
  CHECK(read("up > bool 1 + 2") == "(> bool {__name__=up} (+ 1 2))");
  CHECK(read("up % 2 >= 1") == "(>= (% {__name__=up} 2) 1)");
}

TEST_CASE("calls and aggregations") {
  CHECK(read("rate(up[5m])") == "f0({__name__=up}[300000])");
  CHECK(read("rate((up[5m]))") == "f0({__name__=up}[300000])");
  CHECK(read("time()") == "f10()");
  CHECK(read("sum(up)") == "a0by()({__name__=up})");
  CHECK(read("SUM by (b, a,) (up)") == "a0by(a,b)({__name__=up})");
  CHECK(read("avg(up) without (sum, by)") == "a1without(by,sum)({__name__=up})");
  CHECK(read("count by () (up)") == "a4by()({__name__=up})");
  CHECK(read("1 # one\n+ # two\n2") == "(+ 1 2)");
  CHECK(read("'a'") == "'a'");
}

TEST_CASE("errors have Prometheus' message and position") {
  CHECK(read("") == "1:1: parse error: no expression found in input");
  CHECK(read("1 +") == "1:4: parse error: unexpected end of input");
  CHECK(read("foo bar") == "1:5: parse error: unexpected identifier \"bar\"");
  CHECK(read("\n\n  foo bar") == "3:7: parse error: unexpected identifier \"bar\"");
  CHECK(read("(1") == "1:3: parse error: unclosed left parenthesis");
  CHECK(read("{}") == "1:1: parse error: vector selector must contain at least one non-empty matcher");
  CHECK(read("a{__name__='b'}") == "1:1: parse error: metric name must not be set twice: \"a\" or \"b\"");
  CHECK(read("rate(up)") ==
        "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector");
  CHECK(read("sum(1)") == "1:5: parse error: expected type instant vector in aggregation expression, got scalar");
  CHECK(read("time(1)") == "1:1: parse error: expected 0 argument(s) in call to \"time\", got 1");
  CHECK(read("1 == 1") == "1:3: parse error: comparisons between scalars must use BOOL modifier");
  CHECK(read("1 + bool 1") == "1:3: parse error: bool modifier can only be used on comparison operators");
  CHECK(read("nothing(up)") == "1:1: parse error: unknown function with name \"nothing\"");
  CHECK(read("up[0s]") == "1:4: parse error: duration must be greater than 0");
  CHECK(read("(up)[5m]") == "1:5: parse error: ranges only allowed for vector selectors");
  CHECK(read("sum(1) + (") ==
        "1:11: parse error: unclosed left parenthesis");  // reported before the type of sum's argument
  CHECK(read("up{a=~'('}").starts_with("1:4: parse error: error parsing regexp: "));
}

TEST_CASE("PromQL that is not supported has another fault than an invalid query") {
  const auto refused = parse("1 + histogram_quantile(0.9, up)");
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().fault == Fault::denied);
  CHECK(refused.error().what ==
        "unsupported: histogram_quantile() at 1:5: perjouled supports a subset of PromQL, see its README; for full "
        "PromQL scrape /metrics with Prometheus");
  for (const char* query : {"up offset 5m", "up @ 5", "rate(up[5m:1m])", "up + up", "up and up", "topk(3, up)",
                            "up * on (a) up", "stddev by (a) (up)", "irate(up[5m])", "(up or up)"}) {
    CAPTURE(query);
    REQUIRE_FALSE(parse(query).has_value());
    CHECK(parse(query).error().fault == Fault::denied);
  }
  CHECK(parse("1 +").error().fault == Fault::broken);
}

TEST_CASE("queries over the limits are refused") {
  const auto repeat = [](std::string_view text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i)
      all += text;
    return all;
  };
  CHECK_FALSE(parse(std::string(text_bytes_max + 1, ' ')).has_value());
  CHECK_FALSE(parse(repeat("(", nesting_max + 1) + "1" + repeat(")", nesting_max + 1)).has_value());
  CHECK(parse(repeat("(", nesting_max - 1) + "1" + repeat(")", nesting_max - 1)).has_value());
  CHECK_FALSE(parse(repeat("-", 10'000) + "up").has_value());
  CHECK_FALSE(parse("1" + repeat("+1", 5'000)).has_value());
  CHECK_FALSE(parse("1" + repeat("^1", 5'000)).has_value());
  CHECK_FALSE(parse("up{" + repeat("a=~'b',", regexes_max + 1) + "}").has_value());
  CHECK(parse("up{" + repeat("a=~'b',", regexes_max) + "}").has_value());
  CHECK_FALSE(parse("up{a=~'" + std::string(regex_bytes_max + 1, 'x') + "'}").has_value());
  // Programs and not patterns cost time: 15 bytes may compile to thousands of instructions, a list of 20 UUIDs not.
  for (const char* large : {"((a?b?){30}){30}", ".{400}", "(.*a){500}", "[^a]{300}"}) {
    const auto refused = parse("up{a=~'" + std::string(large) + "'}");
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().fault == Fault::denied);
    CHECK(refused.error().what.starts_with("1:4: the regular expression compiles to "));
  }
  std::string uuids = "GPU-00000000-1111-2222-3333-444444444444";
  for (int n = 1; n < 20; ++n)
    uuids += "|GPU-" + std::to_string(10'000'000 + n * 7'777'777) + "-1111-2222-3333-444444444444";
  CHECK(parse("up{uuid=~'" + uuids + "'}").has_value());
  CHECK_FALSE(parse("up{a=~'((((a{100}){100}){100}){100})'}").has_value());
}

TEST_CASE("random input: the parser returns an expression or an error message") {
  std::mt19937 random(20261124);
  constexpr std::string_view parts[] = {
      "up",   "{", "}", "(", ")",  "[", "]",      "5m", ":",  "=~", "!=",    "\"a\"",    "rate", ",",  "sum", "by",
      "bool", "-", "^", "1", "\\", "'", "offset", "@",  "\n", "#",  "\x00z", "\xC3\x28", "0x",   "1e", "=",   "vector"};
  for (int round = 0; round < 20'000; ++round) {
    std::string query;
    for (auto length = random() % 12; length > 0; --length)
      query += parts[random() % std::size(parts)];
    const auto expression = parse(query);
    if (!expression) CHECK_FALSE(expression.error().what.empty());
  }
}

TEST_CASE("match[] accepts a single instant selector only") {
  const auto matchers = parse_selector("up{gpu=~'0|1'}");
  REQUIRE(matchers.has_value());
  CHECK(matchers_text(*matchers) == "{__name__=up,gpu=~0|1}");
  CHECK((*matchers)[1].matches("1"));
  CHECK_FALSE((*matchers)[1].matches("11"));
  for (const char* text : {"", "up[5m]", "up + 1", "1", "rate(up)", "up{", "{}", "up up"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_selector(text).has_value());
  }
}

}  // namespace perjoule::query
