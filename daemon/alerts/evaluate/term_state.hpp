// One term of a rule: the newest value or the window of every series that it matches (its members), and one result per
// label set after aggregation.
//
// A series is matched once, when it appears; afterwards it is named by its index. Indexes stay valid until drop().
// Loop's thread only; times are milliseconds of the steady clock.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/alerts/alert.hpp"
#include "daemon/alerts/evaluate/window.hpp"
#include "daemon/alerts/rules/rule.hpp"

namespace perjoule::alerts {

// The newest sample of one series. `fresh`: it is not stale, so a scrape would show it.
struct Observation {
  std::int64_t at_ms = 0;  // steady clock
  double value = 0;
  bool fresh = false;
  std::int64_t read_ms = 0;  // of the last reading: later than at_ms while its value waits for a commit
};

class TermState {
 public:
  struct Result {
    Labels labels;
    std::optional<double> value;  // from the last compute(); none: no data
    double weight = 0;            // number of series in it
  };

  explicit TermState(Term term) : term_(std::move(term)) {}

  [[nodiscard]] const Term& term() const { return term_; }
  [[nodiscard]] bool matches(std::string_view metric, const Labels& labels) const;
  [[nodiscard]] bool knows(const Labels& labels) const { return member_index_.contains(labels); }
  // The index of the series among the members; adds it if it is new.
  [[nodiscard]] std::size_t add(const Labels& labels);
  void observe(std::size_t member, const Observation& observation, std::int64_t now_ms);
  // Computes every result from the members.
  void compute(std::int64_t now_ms);

  // The index of a label set changes at drop() only.
  [[nodiscard]] const std::vector<Result>& results() const { return results_; }
  // The index of the result with these labels. Adds one without a series if there is none yet, for a restored alert
  // whose series have not appeared.
  [[nodiscard]] std::size_t result(const Labels& labels);
  // Removes the members with `gone` not 0, and every result that then has no member and whose index is not in `needed`.
  // Returns the new index of each result; none: it was removed. The members that stay have other indexes too.
  [[nodiscard]] std::vector<std::optional<std::size_t>> drop(const std::vector<char>& gone,
                                                             const std::set<std::size_t>& needed);
  [[nodiscard]] std::size_t members() const { return members_.size(); }
  [[nodiscard]] bool windowed() const { return has_window(term_); }

 private:
  struct Member {
    std::size_t result = 0;
    Observation newest;
    bool seen = false;
    std::size_t window = 0;
  };
  [[nodiscard]] std::optional<double> value(const Member& member, std::int64_t now_ms) const;
  void merge(Result& result, double value) const;

  Term term_;
  std::vector<Member> members_;
  std::vector<Window> windows_;
  std::vector<Result> results_;
  std::map<Labels, std::size_t> member_index_;
  std::map<Labels, std::size_t> result_index_;
};

}  // namespace perjoule::alerts
