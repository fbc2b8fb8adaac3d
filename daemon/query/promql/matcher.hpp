// One condition on a label, as in `gpu=~"0|1"`. A label that a series lacks has the value "".
//
// RE2 decides the regular expressions: its time is linear in the text, whatever the pattern is. It matches the whole
// value. Values; any thread, and copies share the compiled expression.
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
  std::shared_ptr<const re2::RE2> regex;  // null unless the type is one of a regular expression

  [[nodiscard]] bool matches(std::string_view text) const;
};

// Broken where the expression is none, or passes what limits.hpp allows.
[[nodiscard]] Result<Matcher> make_matcher(MatchType type, std::string name, std::string value);

[[nodiscard]] bool match_all(std::span<const Matcher> matchers, const Labels& labels);

}  // namespace perjoule::query
