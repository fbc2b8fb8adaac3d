// One term over the series that it matches: their newest values and windows, and the result of each label set.
//
// Series are matched once, when they appear. Loop's thread only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/alerts/alert.hpp"
#include "daemon/alerts/evaluate/window.hpp"
#include "daemon/alerts/rules/rule.hpp"

namespace perjoule::alerts {

// The newest of one series. `fresh`: a scrape would show it.
struct Observation {
  std::int64_t at_ms = 0;  // steady clock
  double value = 0;
  bool fresh = false;
};

class TermState {
 public:
  struct Result {
    Labels labels;
    std::optional<double> value;  // of the last compute()
    double weight = 0;            // series in it
  };

  explicit TermState(Term term) : term_(std::move(term)) {}

  [[nodiscard]] const Term& term() const { return term_; }
  [[nodiscard]] bool matches(std::string_view metric, const Labels& labels) const;
  [[nodiscard]] bool knows(const Labels& labels) const { return member_index_.contains(labels); }
  // The place of a series among the members; a series that is known keeps its own.
  [[nodiscard]] std::size_t add(const Labels& labels);
  void observe(std::size_t member, const Observation& observation, std::int64_t now_ms);
  void compute(std::int64_t now_ms);

  // Grows only; the index of a label set stays.
  [[nodiscard]] const std::vector<Result>& results() const { return results_; }
  // The result with these labels, made without a series where there is none yet.
  [[nodiscard]] std::size_t result(const Labels& labels);
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
