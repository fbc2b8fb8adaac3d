#include "daemon/query/series_filter.hpp"

#include <algorithm>

namespace perjoule::query {

SeriesFilter::SeriesFilter(std::span<const Matcher> matchers, const std::function<bool()>& late) : late_(late) {
  for (const Matcher& matcher : matchers) {
    if (matcher.regex) {
      expressions_.push_back({&matcher, {}});
    } else {
      comparisons_.push_back(&matcher);
    }
  }
}

bool SeriesFilter::admits(const Labels& labels) {
  const auto equal = [&labels](const Matcher* matcher) { return matcher->matches(label_value(labels, matcher->name)); };
  const auto match = [&](Expression& each) { return admits(each, label_value(labels, each.matcher->name)); };
  return std::all_of(comparisons_.begin(), comparisons_.end(), equal) &&
         std::all_of(expressions_.begin(), expressions_.end(), match);
}

bool SeriesFilter::admits(Expression& expression, std::string_view value) {
  const auto known = expression.verdicts.find(value);
  if (known != expression.verdicts.end()) return known->second;
  stopped_ = stopped_ || (late_ && late_());
  if (stopped_) return false;
  return expression.verdicts.emplace(value, expression.matcher->matches(value)).first->second;
}

}  // namespace perjoule::query
