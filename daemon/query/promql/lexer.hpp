// Splits a query into tokens, as Prometheus' lexer does: inside braces and brackets other rules hold. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace perjoule::query {

enum class TokenType : std::uint8_t {
  end,
  error,              // `problem` says what
  identifier,         // keywords too
  metric_identifier,  // has a colon
  number,
  duration,
  text,  // with its quotes
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
  std::uint32_t at = 0;  // byte of the query
  std::string_view text;
  std::string problem = {};
};

// The last token is an end or an error, and no other is. `query` outlives the tokens.
[[nodiscard]] std::vector<Token> split(std::string_view query);

// As a message names it: `identifier "foo"`, "end of input", "<op:*>".
[[nodiscard]] std::string describe(const Token& token);

}  // namespace perjoule::query
