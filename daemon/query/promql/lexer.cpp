#include "daemon/query/promql/lexer.hpp"

#include <fmt/format.h>

#include <utility>

#include "config/json_reader.hpp"
#include "config/text.hpp"

namespace perjoule::query {
namespace {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_alpha(char c) {
  return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool is_word(char c) {
  return is_alpha(c) || is_digit(c);
}
constexpr bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// "inf" and "nan" are numbers, in any mix of upper and lower case.
bool is_number_word(std::string_view word) {
  if (word.size() != 3) return false;
  std::string lower;
  for (const char c : word)
    lower += static_cast<char>(c | 0x20);
  return lower == "inf" || lower == "nan";
}

class Lexer {
 public:
  explicit Lexer(std::string_view query) : query_(query) {}

  std::vector<Token> run() {
    do {
      skip();
      begin_ = here_;
      if (in_braces_) {
        inside_braces();
      } else if (in_brackets_ && !in_duration_seen_) {
        range_duration();
      } else {
        statement();
      }
    } while (tokens_.back().type != TokenType::end && tokens_.back().type != TokenType::error);
    return std::move(tokens_);
  }

 private:
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return here_ + ahead < query_.size() ? query_[here_ + ahead] : '\0';
  }
  [[nodiscard]] bool at_end() const { return here_ >= query_.size(); }

  void skip() {
    for (;;) {
      while (!at_end() && is_space(peek()))
        ++here_;
      if (at_end() || peek() != '#') return;
      while (!at_end() && peek() != '\n')
        ++here_;
    }
  }

  void emit(TokenType type, std::size_t length) {
    here_ = begin_ + length;
    tokens_.push_back({type, static_cast<std::uint32_t>(begin_), query_.substr(begin_, length)});
  }
  // Emits the token from `begin_` to `here_`.
  void emit(TokenType type) { emit(type, here_ - begin_); }
  void fail(std::string problem) {
    tokens_.push_back({TokenType::error, static_cast<std::uint32_t>(begin_), query_.substr(begin_, here_ - begin_),
                       std::move(problem)});
  }
  void fail_at(std::string_view what, std::size_t length) {
    fail(fmt::format("{}: {}", what, text::quoted_short(query_.substr(begin_, length))));
  }

  void statement() {
    if (at_end()) return finish();
    const char c = peek();
    switch (c) {
      case ',':
        return emit(TokenType::comma, 1);
      case '+':
        return emit(TokenType::add, 1);
      case '-':
        return emit(TokenType::subtract, 1);
      case '*':
        return emit(TokenType::multiply, 1);
      case '/':
        return emit(TokenType::divide, 1);
      case '%':
        return emit(TokenType::modulo, 1);
      case '^':
        return emit(TokenType::power, 1);
      case '@':
        return emit(TokenType::at, 1);
      case '"':
      case '\'':
      case '`':
        return quoted();
      case '=':
      case '!':
      case '<':
      case '>':
        return comparison(c);
      default:
        break;
    }
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number_or_duration();
    if (is_alpha(c) || (c == ':' && !in_brackets_)) return word();
    bracket(c);
  }

  void finish() {
    if (open_parens_ != 0) return fail("unclosed left parenthesis");
    if (in_brackets_) return fail("unclosed left bracket");
    emit(TokenType::end, 0);
  }

  void comparison(char c) {
    const char next = peek(1);
    if (c == '<') return next == '=' ? emit(TokenType::less_equal, 2) : emit(TokenType::less, 1);
    if (c == '>') return next == '=' ? emit(TokenType::greater_equal, 2) : emit(TokenType::greater, 1);
    if (next == '=') return emit(c == '=' ? TokenType::equal : TokenType::not_equal, 2);
    if (c == '=' && next != '~') return emit(TokenType::assign, 1);
    fail(fmt::format("unexpected character after '{}': {}", c, text::quoted_short(query_.substr(begin_ + 1, 1))));
  }

  void bracket(char c) {
    switch (c) {
      case '(':
        ++open_parens_;
        return emit(TokenType::left_paren, 1);
      case ')':
        if (--open_parens_ >= 0) return emit(TokenType::right_paren, 1);
        begin_ = ++here_;  // Prometheus reports the position after the parenthesis
        return fail("unexpected right parenthesis ')'");
      case '{':
        in_braces_ = true;
        return emit(TokenType::left_brace, 1);
      case '[':
        if (in_brackets_) return fail("unexpected left bracket '['");
        in_brackets_ = true;
        in_duration_seen_ = false;
        return emit(TokenType::left_bracket, 1);
      case ']':
        if (!in_brackets_) return fail("unexpected right bracket ']'");
        in_brackets_ = false;
        return emit(TokenType::right_bracket, 1);
      case ':':
        return emit(TokenType::colon, 1);
      default:
        return fail_at("unexpected character", 1);
    }
  }

  void inside_braces() {
    if (at_end()) return fail("unexpected end of input inside braces");
    const char c = peek();
    if (is_alpha(c)) {
      while (is_word(peek()))
        ++here_;
      return emit(TokenType::identifier);
    }
    switch (c) {
      case ',':
        return emit(TokenType::comma, 1);
      case '"':
      case '\'':
      case '`':
        return quoted();
      case '=':
        return peek(1) == '~' ? emit(TokenType::match, 2) : emit(TokenType::assign, 1);
      case '!':
        if (peek(1) == '~') return emit(TokenType::no_match, 2);
        if (peek(1) == '=') return emit(TokenType::not_equal, 2);
        return fail(fmt::format("unexpected character after '!' inside braces: {}",
                                text::quoted_short(query_.substr(begin_ + 1, 1))));
      case '{':
        return fail("unexpected left brace '{'");
      case '}':
        in_braces_ = false;
        return emit(TokenType::right_brace, 1);
      default:
        return fail_at("unexpected character inside braces", 1);
    }
  }

  // Only finds the end of the string. Escapes are checked later, by unquote().
  void quoted() {
    const char quote = peek();
    ++here_;
    for (; !at_end() && peek() != quote; ++here_) {
      if (quote == '`') continue;
      if (peek() == '\n') break;
      if (peek() == '\\') ++here_;
    }
    if (at_end() || peek() != quote)
      return fail(quote == '`' ? "unterminated raw string" : "unterminated quoted string");
    ++here_;
    emit(TokenType::text);
  }

  void digits() {
    while (is_digit(peek()))
      ++here_;
  }

  // Reads a number. Returns false if a letter or digit follows that is not part of it.
  bool number() {
    if (peek() == '0' && (peek(1) | 0x20) == 'x') {
      here_ += 2;
      while (is_digit(peek()) || ((peek() | 0x20) >= 'a' && (peek() | 0x20) <= 'f'))
        ++here_;
    } else {
      digits();
    }
    if (peek() == '.') {
      ++here_;
      digits();
    }
    if ((peek() | 0x20) == 'e') {
      ++here_;
      if (peek() == '+' || peek() == '-') ++here_;
      digits();
    }
    return !is_word(peek());
  }

  // Reads the rest of a duration, after its first number. Returns false if it is malformed.
  bool duration_rest() {
    for (;;) {
      if (std::string_view("smhdwy").find(peek()) == std::string_view::npos || peek() == '\0') return false;
      const bool may_be_milli = peek() == 'm';
      ++here_;
      if (may_be_milli && peek() == 's') ++here_;
      if (!is_digit(peek())) return !is_word(peek());
      digits();
    }
  }

  void number_or_duration() {
    if (number()) return emit(TokenType::number);
    if (duration_rest()) return emit(TokenType::duration);
    fail_at("bad number or duration syntax", here_ - begin_ + 1);
  }

  void range_duration() {
    in_duration_seen_ = true;
    if (at_end()) return fail("unclosed left bracket");
    if (number()) return fail("missing unit character in duration");
    if (duration_rest()) return emit(TokenType::duration);
    fail_at("bad duration syntax", here_ - begin_ + 1);
  }

  void word() {
    while (is_word(peek()) || peek() == ':')
      ++here_;
    const std::string_view text = query_.substr(begin_, here_ - begin_);
    if (is_number_word(text)) return emit(TokenType::number);
    emit(text.find(':') == std::string_view::npos ? TokenType::identifier : TokenType::metric_identifier);
  }

  std::string_view query_;
  std::size_t here_ = 0;
  std::size_t begin_ = 0;  // of the token being read
  int open_parens_ = 0;
  bool in_braces_ = false;
  bool in_brackets_ = false;
  bool in_duration_seen_ = false;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> split(std::string_view query) {
  return Lexer(query).run();
}

std::string describe(const Token& token) {
  std::string text = text::quoted_short(token.text);
  switch (token.type) {
    case TokenType::end:
      return "end of input";
    case TokenType::identifier:
      return "identifier " + text;
    case TokenType::metric_identifier:
      return "metric identifier " + text;
    case TokenType::number:
      return "number " + text;
    case TokenType::duration:
      return "duration " + text;
    case TokenType::text:
      return "string " + text;
    default:
      return text;
  }
}

}  // namespace perjoule::query
