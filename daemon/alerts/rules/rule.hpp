// An alert rule as plain values: rule_reader makes it from the configuration; the evaluator and the translation to
// Prometheus (promql.hpp) read it. Values only; any thread. Durations are in milliseconds.
//
// A rule compares one expression with the thresholds of its levels. An expression is (value - minus) / over: one to
// three terms, each computed in this order:
//
//   match -> function -> aggregation
//
// Each series of `value` needs one partner in `minus` and one in `over`: the series with equal values of the labels
// that both have. Labels that `match` fixes to one value are not compared. rule_reader refuses a rule whose declared
// labels allow two partners; the evaluator gives no result for a series that has two in the data.
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
  std::vector<std::string> labels;  // of the metric
  std::vector<Match> match;
  Function function = Function::last;
  std::int64_t window_ms = 0;  // 0 for `last`; for `age`: how long a series that has vanished still has an age
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
  double raise = 0;             // the alert is raised strictly above (below) this
  std::optional<double> clear;  // and clears strictly below (above) this; none: as soon as it is no longer raised
  std::int64_t for_ms = 0;
  std::int64_t clear_for_ms = 0;
  friend bool operator==(const Level&, const Level&) = default;
};

struct Rule {
  std::string name;
  Expression expression;
  std::vector<Guard> when;
  std::vector<Level> levels;
  // A firing alert without data stays firing this long: at least every level's clear_for, or 0 with on_absence resolve.
  std::int64_t hold_ms = 0;
  std::string summary;  // with the placeholders of summary.hpp
  std::string runbook;  // page name in deploy/runbooks, URL, or empty
  std::string cause;    // alerts of one cause and one GPU are sent as one (daemon/alerts/choice.hpp); empty: none
  friend bool operator==(const Rule&, const Rule&) = default;
};

// The labels of a term's results.
[[nodiscard]] const std::vector<std::string>& result_labels(const Term& term);
// Those of them that `match` does not fix to one value: the labels on which the term can be joined.
[[nodiscard]] std::vector<std::string> free_labels(const Term& term);
[[nodiscard]] bool is_fixed(const Term& term, std::string_view label);

// All terms of the expression and of the guards; the pointers point into `rule`.
[[nodiscard]] std::vector<const Term*> terms(const Rule& rule);
// Whether the function is computed over a window of samples, which is empty after a start.
[[nodiscard]] bool has_window(const Term& term);

// A label that the daemon sets on every alert: alertname, alertstate, severity.
[[nodiscard]] bool is_own_label(std::string_view name);

// The condition of one level on one line, for people. It is saved with a pending or firing alert: if it differs after a
// restart, the rule has changed and the alert is resolved. So a change of its wording resolves all alerts once.
[[nodiscard]] std::string condition_text(const Rule& rule, const Level& level);

}  // namespace perjoule::alerts
