// Splits a query into tokens by the rules of Prometheus' lexer (promql/parser/lex.go), which differ inside braces and
// brackets. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace perjoule::query {

enum class TokenType : std::uint8_t {
  end,
  error,              // Token::problem has the message
  identifier,         // also keywords
  metric_identifier,  // an identifier with a colon
  number,
  duration,
  text,  // a string literal with its quotes
  left_paren,
  right_paren,
  left_brace,
  right_brace,
  left_bracket,
  right_bracket,
  comma,
  colon,
  at,
  assign,  // =
  match,   // =~
  no_match,
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

struct Token {
  TokenType type = TokenType::end;
  std::uint32_t at = 0;  // byte offset in the query
  std::string_view text;
  std::string problem = {};
};

// The last token has type end or error, and no other token has. `query` must outlive the tokens.
[[nodiscard]] std::vector<Token> split(std::string_view query);

// The token as error messages name it: `identifier "foo"`, "end of input".
[[nodiscard]] std::string describe(const Token& token);

}  // namespace perjoule::query
