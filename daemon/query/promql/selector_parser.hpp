// Reads the tokens of a query, parses selectors and groupings, and collects errors. Used by parser.cpp only. One thread
// at a time; `query` must outlive the reader.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/result.hpp"
#include "daemon/query/promql/lexer.hpp"
#include "daemon/query/promql/matcher.hpp"

namespace perjoule::query {

struct SelectorMatchers {
  std::uint32_t at = 0;
  std::vector<Matcher> matchers;
};

class SelectorReader {
 public:
  explicit SelectorReader(std::string_view query);

  [[nodiscard]] const Token& token(std::size_t ahead = 0) const;
  [[nodiscard]] bool is(TokenType type, std::size_t ahead = 0) const { return token(ahead).type == type; }
  // The token in lower case if it is an identifier, for comparison with keywords; otherwise "".
  [[nodiscard]] std::string keyword(std::size_t ahead = 0) const;
  Token next_token();
  // Takes a token of this type; otherwise fails with "unexpected .., expected `what`".
  bool expect(TokenType type, std::string_view what);

  // Errors that end the parsing; only the first is kept. `expected` may be "".
  void fail(const Token& token, std::string_view what) { fail_at(token.at, what); }
  void fail_at(std::uint32_t at, std::string_view what);
  void unsupported(std::uint32_t at, std::string_view what);
  void unexpected(std::string_view expected);
  // A type error: parsing continues.
  void mistake(std::uint32_t at, std::string_view what);
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  // The error to report: a syntax error, else the first type error, else an unsupported construct.
  [[nodiscard]] const std::optional<Error>& outcome() const {
    return error_ && (error_->fault == Fault::broken || !mistake_) ? error_ : mistake_;
  }

  // Parses `name{a="b", c=~"d"}`, where either the name or the braces may be missing.
  SelectorMatchers matchers();
  // Parses `by (a, b)` or `without (a)`. Returns false on an error.
  bool grouping(std::vector<std::string>& labels, bool& without);

 private:
  void matcher(std::vector<Matcher>& out);
  [[nodiscard]] std::string place(std::uint32_t at) const;

  std::string_view query_;
  std::vector<Token> tokens_;
  std::size_t next_ = 0;
  std::size_t regexes_ = 0;
  std::optional<Error> error_;
  std::optional<Error> mistake_;
};

}  // namespace perjoule::query
