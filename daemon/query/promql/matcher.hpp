// One condition on a label, as in `gpu=~"0|1"`. A label that a series does not have counts as "".
//
// A regular expression must match the whole value. It is evaluated by RE2, because its run time is linear in the length
// of the value for every pattern, and patterns come from clients. The factor is at worst the size of the compiled
// program, which is limited. Plain values, any thread; copies share the compiled
// expression.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "collectors/labels.hpp"
#include "collectors/result.hpp"

namespace re2 {
class RE2;
}

namespace perjoule::query {

// The label that holds the metric's name. The Labels of a query have no empty values.
inline constexpr std::string_view name_label = "__name__";

enum class MatchType : std::uint8_t { equal, not_equal, regex, not_regex };

struct Matcher {
  MatchType type = MatchType::equal;
  std::string name;
  std::string value;
  std::shared_ptr<const re2::RE2> regex;  // set for regex and not_regex only

  [[nodiscard]] bool matches(std::string_view text) const;
};

// Error with Fault::broken: the regular expression is invalid or too long; denied: it compiles to too large a program.
[[nodiscard]] Result<Matcher> make_matcher(MatchType type, std::string name, std::string value);

[[nodiscard]] bool match_all(std::span<const Matcher> matchers, const Labels& labels);

}  // namespace perjoule::query
