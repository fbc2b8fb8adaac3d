// An alert rule as plain values: what rule_reader makes of the configuration, and what the evaluator and the
// translation for Prometheus read. Values only; any thread.
//
// A rule compares one expression with the thresholds of its levels. Order: match, function, aggregation, minus, over,
// compare. Two terms are joined on the labels that both have, without those that `match` fixes to one value; the reader
// sees to it that a term has at most one partner as far as labels tell.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace perjoule::alerts {

enum class Function : std::uint8_t { last, rate, increase, delta, avg, min, max, age };
enum class Aggregation : std::uint8_t { none, sum, avg, min, max, count };
[[nodiscard]] std::string_view name(Function function);
[[nodiscard]] std::string_view name(Aggregation aggregation);

struct Match {
  std::string label;
  std::vector<std::string> values;  // any of them
  friend bool operator==(const Match&, const Match&) = default;
};

struct Term {
  std::string metric;
  std::vector<std::string> labels;  // that the metric has
  std::vector<Match> match;
  Function function = Function::last;
  std::int64_t window_ms = 0;  // 0: of `last`. Of `age`: how long a series that is gone still has an age
  Aggregation aggregation = Aggregation::none;
  std::vector<std::string> by;
  friend bool operator==(const Term&, const Term&) = default;
};

struct Expression {
  Term value;
  std::optional<Term> minus;
  std::optional<Term> over;
  friend bool operator==(const Expression&, const Expression&) = default;
};

struct Guard {
  Expression expression;
  bool above = true;
  double threshold = 0;
  friend bool operator==(const Guard&, const Guard&) = default;
};

struct Level {
  std::string severity;
  bool above = true;
  double raise = 0;             // strictly above (below) it raises
  std::optional<double> clear;  // strictly below (above) it clears; none: as soon as it no longer raises
  std::int64_t for_ms = 0;
  std::int64_t clear_for_ms = 0;
  friend bool operator==(const Level&, const Level&) = default;
};

struct Rule {
  std::string name;
  Expression expression;
  std::vector<Guard> when;
  std::vector<Level> levels;
  std::int64_t hold_ms = 0;  // a firing alert without data stays so long; never shorter than a level's clear_for
  std::string summary;       // with {label} and {value}
  std::string runbook;
  friend bool operator==(const Rule&, const Rule&) = default;
};

// The labels of a term's results, and those of them that a partner has to share.
[[nodiscard]] const std::vector<std::string>& result_labels(const Term& term);
[[nodiscard]] std::vector<std::string> free_labels(const Term& term);
[[nodiscard]] bool is_fixed(const Term& term, std::string_view label);

// Views into the rule.
[[nodiscard]] std::vector<const Term*> terms(const Rule& rule);
[[nodiscard]] bool has_window(const Term& term);  // of samples, so that it is empty after a start

// A label that every alert has of itself: alertname, alertstate, severity.
[[nodiscard]] bool is_own_label(std::string_view name);

// The condition of one level on one line, for people. It is also what tells after a restart whether a rule is still
// the one that raised an alert: a change of this text resolves what fires.
[[nodiscard]] std::string condition_text(const Rule& rule, const Level& level);

}  // namespace perjoule::alerts
