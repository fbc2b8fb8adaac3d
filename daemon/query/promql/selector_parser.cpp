#include "daemon/query/promql/selector_parser.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "config/json_reader.hpp"
#include "config/text.hpp"
#include "daemon/query/promql/limits.hpp"
#include "daemon/query/promql/literal.hpp"

namespace perjoule::query {

SelectorReader::SelectorReader(std::string_view query) : query_(query), tokens_(split(query)) {}

const Token& SelectorReader::token(std::size_t ahead) const {
  return tokens_[std::min(next_ + ahead, tokens_.size() - 1)];
}

std::string SelectorReader::keyword(std::size_t ahead) const {
  if (!is(TokenType::identifier, ahead)) return {};
  return text::lower(token(ahead).text);
}

Token SelectorReader::next_token() {
  const Token& taken = token();
  if (next_ + 1 < tokens_.size()) ++next_;
  return taken;
}

bool SelectorReader::expect(TokenType type, std::string_view what) {
  if (!is(type)) {
    unexpected(what);
    return false;
  }
  next_token();
  return true;
}

std::string SelectorReader::place(std::uint32_t at) const {
  const std::string_view before = query_.substr(0, at);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t line_break = before.rfind('\n');
  const std::size_t column = line_break == std::string_view::npos ? at + 1 : at - line_break;
  return fmt::format("{}:{}", line, column);
}

void SelectorReader::fail_at(std::uint32_t at, std::string_view what) {
  if (!error_) error_ = Error{Fault::broken, fmt::format("{}: parse error: {}", place(at), what)};
}

void SelectorReader::mistake(std::uint32_t at, std::string_view what) {
  if (!mistake_) mistake_ = Error{Fault::broken, fmt::format("{}: parse error: {}", place(at), what)};
}

void SelectorReader::unsupported(std::uint32_t at, std::string_view what) {
  if (error_) return;
  error_ =
      Error{Fault::denied,
            fmt::format(
                "unsupported: {} at {}: perjouled supports a subset of PromQL, see its README; for full PromQL scrape "
                "/metrics with Prometheus",
                what, place(at))};
}

void SelectorReader::unexpected(std::string_view expected) {
  const Token& found = token();
  if (found.type == TokenType::error) return fail(found, found.problem);
  fail(found, expected.empty() ? "unexpected " + describe(found)
                               : fmt::format("unexpected {}, expected {}", describe(found), expected));
}

SelectorMatchers SelectorReader::matchers() {
  SelectorMatchers selector{token().at, {}};
  std::string metric;
  if (is(TokenType::identifier) || is(TokenType::metric_identifier)) {
    metric = std::string(next_token().text);
    selector.matchers.push_back({MatchType::equal, std::string(name_label), metric, nullptr});
  } else if (!is(TokenType::left_brace)) {
    unexpected("");
    return selector;
  }
  if (is(TokenType::left_brace)) {
    next_token();
    while (!error_ && !is(TokenType::right_brace)) {
      matcher(selector.matchers);
      if (error_ || is(TokenType::right_brace)) break;
      expect(TokenType::comma, "\",\" or \"}\"");
    }
    if (error_) return selector;
    next_token();
  }
  const auto is_name = [](const Matcher& matcher) { return matcher.name == name_label; };
  if (!metric.empty()) {
    const auto second = std::find_if(selector.matchers.begin() + 1, selector.matchers.end(), is_name);
    if (second != selector.matchers.end()) {
      mistake(selector.at, fmt::format("metric name must not be set twice: {} or {}", text::quoted_short(metric),
                                       text::quoted_short(second->value)));
    }
  }
  const bool all_match_nothing = std::all_of(selector.matchers.begin(), selector.matchers.end(),
                                             [](const Matcher& matcher) { return matcher.matches(""); });
  if (all_match_nothing) mistake(selector.at, "vector selector must contain at least one non-empty matcher");
  return selector;
}

void SelectorReader::matcher(std::vector<Matcher>& out) {
  const Token label = token();
  if (!expect(TokenType::identifier, "identifier or \"}\"")) return;
  MatchType type = MatchType::equal;
  switch (token().type) {
    case TokenType::assign:
      break;
    case TokenType::not_equal:
      type = MatchType::not_equal;
      break;
    case TokenType::match:
      type = MatchType::regex;
      break;
    case TokenType::no_match:
      type = MatchType::not_regex;
      break;
    default:
      return unexpected("label matching operator");
  }
  next_token();
  const Token text = token();
  if (!expect(TokenType::text, "string")) return;
  auto value = unquote(text.text);
  if (!value) return fail(text, "unknown escape sequence in " + text::quoted_short(text.text));
  if (type == MatchType::regex || type == MatchType::not_regex) {
    if (++regexes_ > regexes_max) return fail(text, fmt::format("more than {} regular expressions", regexes_max));
  }
  auto made = make_matcher(type, std::string(label.text), std::move(*value));
  if (!made && made.error().fault == Fault::denied && !error_) {
    error_ = Error{Fault::denied, fmt::format("{}: {}", place(label.at), made.error().what)};
    return;
  }
  if (!made) return fail(label, made.error().what);
  out.push_back(std::move(*made));
}

bool SelectorReader::grouping(std::vector<std::string>& labels, bool& without) {
  without = keyword() == "without";
  next_token();
  if (!expect(TokenType::left_paren, "\"(\"")) return false;
  while (!is(TokenType::right_paren)) {
    const Token label = token();
    if (!expect(TokenType::identifier, "label")) return false;
    labels.emplace_back(label.text);
    if (is(TokenType::right_paren)) break;
    if (!expect(TokenType::comma, "\",\" or \")\" in grouping opts")) return false;
  }
  next_token();
  std::sort(labels.begin(), labels.end());
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  return true;
}

}  // namespace perjoule::query
