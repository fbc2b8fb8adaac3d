// Evaluates the rules over the observed series: (state, samples, now) -> transitions of alerts. No clock, no file, no
// log: the caller (engine.hpp) brings the time and acts on the transitions. Loop's thread only.
//
// A series is matched to the rules once, when it appears; an evaluation then uses only indexes. EvaluatorLimits bounds
// series, windows and active alerts; those above a limit are skipped and counted in Overflow.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/alerts/alert.hpp"
#include "daemon/alerts/evaluate/alert_state.hpp"
#include "daemon/alerts/evaluate/term_state.hpp"
#include "daemon/alerts/rules/rule.hpp"

namespace perjoule::alerts {

struct Transition {
  Alert alert;
  Change change = Change::none;
  std::string condition;      // condition_text() of the level
  std::int64_t since_ms = 0;  // wall clock: pending since
};

// An alert as saved in the ledger before a restart.
struct Remembered {
  Alert alert;
  std::string condition;
  std::int64_t since_ms = 0;  // wall clock
};

// A pending or firing alert.
struct Active {
  Alert alert;
  std::int64_t since_ms = 0;    // wall clock: pending since
  std::int64_t cleared_ms = 0;  // wall clock: cleared since, and firing only until clear_for is over; 0: not cleared
};

struct LevelCount {
  const Rule* rule = nullptr;
  const Level* level = nullptr;
  std::size_t pending = 0;
  std::size_t firing = 0;
};

struct Overflow {
  std::uint64_t series = 0;    // series beyond the limit of members or windows, counted at each adopt()
  std::uint64_t alerts = 0;    // alerts that could not become pending, counted at each evaluation
  std::uint64_t partners = 0;  // label sets with more than one join partner, counted when the join is rebuilt
  friend bool operator==(const Overflow&, const Overflow&) = default;
};

struct EvaluatorLimits {
  std::size_t members = 4'000;  // series, counted once per term that reads them
  std::size_t windows = 1'500;  // with up to 120 samples each, 3 KiB
  std::size_t active = 1'000;   // alerts pending or firing
};

class Evaluator {
 public:
  using Limits = EvaluatorLimits;
  explicit Evaluator(Limits limits = {}) : limits_(limits) {}

  // Replaces the rules. Pending and firing alerts are kept if their level's condition is unchanged; otherwise the
  // returned transitions end them, with the reason. Afterwards every series must be adopted again.
  [[nodiscard]] std::vector<Transition> set_rules(std::vector<Rule> rules, const Moment& now);

  // The index of a series in a term that reads it.
  struct Place {
    std::uint32_t term = 0;
    std::uint32_t member = 0;
  };
  // Whether a rule reads series of this metric.
  [[nodiscard]] bool reads(std::string_view metric) const;
  // Matches a series to the terms; empty if no rule reads it.
  [[nodiscard]] std::vector<Place> adopt(std::string_view metric, const Labels& labels);
  void observe(const Place& place, const Observation& observation, std::int64_t now_ms) {
    terms_[place.term].observe(place.member, observation, now_ms);
  }
  [[nodiscard]] std::vector<Transition> evaluate(const Moment& now);
  // Gives back the room of series that are gone for good. Alerts that are pending or firing stay until they are lost.
  // Afterwards every other series must be adopted again.
  void forget(std::span<const Place> gone);

  // Restores an alert after a restart. If its rule was removed or changed, returns the transition that ends it instead.
  [[nodiscard]] std::optional<Transition> restore(const Remembered& remembered, const Moment& now);

  [[nodiscard]] std::vector<Alert> firing() const;
  // The pending and firing alerts, in the order of rules and levels.
  [[nodiscard]] std::vector<Active> active() const;
  [[nodiscard]] std::vector<LevelCount> counts() const;
  [[nodiscard]] const Overflow& overflow() const { return overflow_; }
  [[nodiscard]] const std::vector<Rule>& rules() const { return rules_; }

 private:
  static constexpr std::uint32_t no_partner = ~std::uint32_t{0};

  // Maps each result of one term to the result of another term with the same values of the shared labels.
  struct Join {
    std::uint32_t partner = 0;  // term
    std::vector<std::string> shared;
    std::vector<std::uint32_t> of;  // by result of the first term: result of the partner, or no_partner
    std::size_t partners = 0;       // number of the partner's results when `of` was built; more of them: rebuild
  };
  struct ExpressionState {
    std::uint32_t value = 0;  // term
    std::optional<Join> minus;
    std::optional<Join> over;
  };
  struct GuardState {
    ExpressionState expression;
    Join join;  // from the rule's value to the guard's value
  };
  struct RuleState {
    ExpressionState expression;
    std::vector<GuardState> guards;
    std::vector<std::vector<AlertState>> alert_states;  // by level, then by result of the value
    bool windowed = false;                              // a term has a window
    std::int64_t settle_ms = 0;                         // after a restart: until all its windows are full
  };

  [[nodiscard]] std::uint32_t term(const Term& wanted);
  [[nodiscard]] Join join(const Term& from, const Term& to);
  [[nodiscard]] ExpressionState expression(const Expression& wanted);
  [[nodiscard]] RuleState state(const Rule& rule);
  void refresh(Join& join, const TermState& from);
  void refresh(ExpressionState& expression);
  [[nodiscard]] std::optional<double> value(const ExpressionState& expression, std::size_t result) const;
  [[nodiscard]] Observed observed(const Rule& rule, const RuleState& state, std::size_t result) const;
  void evaluate(std::size_t rule, const Moment& now, std::vector<Transition>& out);
  void record_change(std::size_t rule, std::size_t level, std::size_t result, Change change, const Moment& now,
                     std::vector<Transition>& out);
  [[nodiscard]] Alert alert(std::size_t rule, std::size_t level, std::size_t result) const;
  [[nodiscard]] Transition transition(std::size_t rule, std::size_t level, std::size_t result, Change change,
                                      const Moment& now) const;
  struct LevelPlace {
    std::size_t rule = 0;
    std::size_t level = 0;
  };
  // The level in the new `rules` with the same condition as the level at `place` in the current rules.
  [[nodiscard]] std::optional<LevelPlace> counterpart(const LevelPlace& place, const std::vector<Rule>& rules) const;
  // Ends the alerts of a level; `changed`: its rule still exists, with another condition.
  void end(const LevelPlace& place, bool changed, const Moment& now, std::vector<Transition>& out) const;
  void keep_terms(std::vector<TermState> before);
  void count();
  // Results of `term` with a pending or firing alert.
  [[nodiscard]] std::set<std::size_t> active_results(std::uint32_t term) const;
  // After TermState::drop().
  void move_results(std::uint32_t term, const std::vector<std::optional<std::size_t>>& moved);
  static void rebuild_joins(RuleState& state);

  Limits limits_;
  std::vector<Rule> rules_;
  std::vector<RuleState> states_;
  std::vector<TermState> terms_;
  std::size_t members_ = 0;
  std::size_t windows_ = 0;
  std::size_t active_ = 0;
  Overflow overflow_;
};

}  // namespace perjoule::alerts
