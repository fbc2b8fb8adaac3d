// Which series a selector selects. The value of a label repeats over many series, and one match of a costly regular
// expression takes up to a millisecond per kilobyte of the value: so each distinct value is matched once, and the
// deadline is checked before each match. Plain values; one thread. Keeps references to the labels that it was asked
// about, which must outlive it.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/query/promql/matcher.hpp"

namespace perjoule::query {

class SeriesFilter {
 public:
  // `late` returns true once the deadline has passed; may be empty. Both must outlive the filter.
  SeriesFilter(std::span<const Matcher> matchers, const std::function<bool()>& late);

  // Whether every matcher matches. Once it is late: false, and stopped() is true.
  [[nodiscard]] bool admits(const Labels& labels);
  [[nodiscard]] bool stopped() const { return stopped_; }

 private:
  struct Expression {
    const Matcher* matcher;
    std::unordered_map<std::string_view, bool> verdicts;  // by value
  };
  [[nodiscard]] bool admits(Expression& expression, std::string_view value);

  const std::function<bool()>& late_;
  std::vector<const Matcher*> comparisons_;  // first, because they cost nothing
  std::vector<Expression> expressions_;
  bool stopped_ = false;
};

}  // namespace perjoule::query
