#include "daemon/query/promql/matcher.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <string>

#include "daemon/query/promql/limits.hpp"

namespace perjoule::query {

bool Matcher::matches(std::string_view text) const {
  switch (type) {
    case MatchType::equal:
      return text == value;
    case MatchType::not_equal:
      return text != value;
    case MatchType::regex:
      return re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), *regex);
    case MatchType::not_regex:
      return !re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), *regex);
  }
  return false;
}

Result<Matcher> make_matcher(MatchType type, std::string name, std::string value) {
  Matcher matcher{type, std::move(name), std::move(value), nullptr};
  if (type == MatchType::equal || type == MatchType::not_equal) return matcher;
  if (matcher.value.size() > regex_bytes_max) {
    return Error{Fault::broken, fmt::format("the regular expression has {} bytes; at most {} are allowed",
                                            matcher.value.size(), regex_bytes_max)};
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(regex_memory_max);
  options.set_never_capture(true);
  auto regex = std::make_shared<const re2::RE2>(matcher.value, options);
  const bool too_large = regex->error_code() == re2::RE2::ErrorPatternTooLarge;
  if (!regex->ok() && !too_large) return Error{Fault::broken, "error parsing regexp: " + regex->error()};
  if (too_large || regex->ProgramSize() > regex_program_max) {
    return Error{Fault::denied,
                 fmt::format("the regular expression compiles to {} instructions; at most {} are allowed",
                             too_large ? "too many" : std::to_string(regex->ProgramSize()), regex_program_max)};
  }
  matcher.regex = std::move(regex);
  return matcher;
}

bool match_all(std::span<const Matcher> matchers, const Labels& labels) {
  return std::all_of(matchers.begin(), matchers.end(),
                     [&](const Matcher& matcher) { return matcher.matches(label_value(labels, matcher.name)); });
}

}  // namespace perjoule::query
