// The tokens of a query, and the parts of its grammar that hold labels. For parser.cpp alone. Pure.
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
  // An identifier in lower case, as keywords are compared; "" for any other token.
  [[nodiscard]] std::string keyword(std::size_t ahead = 0) const;
  Token take();
  // Takes a token of this type, or fails.
  bool expect(TokenType type, std::string_view what);

  // The first failure stays. `wanted` may be "".
  void fail(const Token& token, std::string_view what) { fail_at(token.at, what); }
  void fail_at(std::uint32_t at, std::string_view what);
  void unsupported(std::uint32_t at, std::string_view what);
  void unexpected(std::string_view wanted);
  // Wrong, but no reason not to read on.
  void mistake(std::uint32_t at, std::string_view what);
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  // What is said in the end: a failure, else the first mistake, else what is unsupported.
  [[nodiscard]] const std::optional<Error>& outcome() const {
    return error_ && (error_->fault == Fault::broken || !mistake_) ? error_ : mistake_;
  }

  // `name{a="b", c=~"d"}`, with at least one of name and braces.
  SelectorMatchers matchers();
  // `by (a, b)` or `without (a)`; false on an error.
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
