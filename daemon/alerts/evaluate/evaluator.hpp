// Rules over series: (state, samples, now) -> what was raised and what was resolved. Pure but for its own state; no
// clock, no file, no log. Loop's thread only.
//
// A series is matched to the rules once, when it appears; an evaluation then walks over numbers. Bounds: series and
// windows that rules read, and alerts that are pending or firing; what does not fit is left out and counted.
#pragma once

#include <cstdint>
#include <optional>
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

// What an alert was before a restart.
struct Remembered {
  Alert alert;
  std::string condition;
  std::int64_t since_ms = 0;  // wall clock
};

// What is pending or fires, as it stands.
struct Active {
  Alert alert;
  std::int64_t since_ms = 0;    // wall clock: pending since
  std::int64_t cleared_ms = 0;  // wall clock: fires only because of clear_for, since; 0: its condition holds
};

struct LevelCount {
  const Rule* rule = nullptr;
  const Level* level = nullptr;
  std::size_t pending = 0;
  std::size_t firing = 0;
};

struct Overflow {
  std::uint64_t series = 0;    // series, or windows over them, beyond the bound
  std::uint64_t alerts = 0;    // instances that could not become pending
  std::uint64_t partners = 0;  // label sets that met two partners
  friend bool operator==(const Overflow&, const Overflow&) = default;
};

struct EvaluatorLimits {
  std::size_t members = 4'000;  // series, counted once per term that reads them
  std::size_t windows = 1'500;  // of 120 samples each, 3 KiB
  std::size_t active = 1'000;   // alerts pending or firing
};

class Evaluator {
 public:
  using Limits = EvaluatorLimits;
  explicit Evaluator(Limits limits = {}) : limits_(limits) {}

  // The rules from now on. What is pending or firing stays where a level's condition is the same as before; else it is
  // resolved, with the reason. Every series has to be adopted anew.
  [[nodiscard]] std::vector<Transition> set_rules(std::vector<Rule> rules, const Moment& now);

  // Where the observations of a series go.
  struct Place {
    std::uint32_t term = 0;
    std::uint32_t member = 0;
  };
  // Empty: no rule reads it.
  [[nodiscard]] std::vector<Place> adopt(std::string_view metric, const Labels& labels);
  void observe(const Place& place, const Observation& observation, std::int64_t now_ms) {
    terms_[place.term].observe(place.member, observation, now_ms);
  }
  [[nodiscard]] std::vector<Transition> evaluate(const Moment& now);

  // Brings an alert over a restart. What comes back is its end where its rule is gone or changed.
  [[nodiscard]] std::optional<Transition> restore(const Remembered& remembered, const Moment& now);

  [[nodiscard]] std::vector<Alert> firing() const;
  // In the order of rules and levels.
  [[nodiscard]] std::vector<Active> active() const;
  [[nodiscard]] std::vector<LevelCount> counts() const;
  [[nodiscard]] const Overflow& overflow() const { return overflow_; }
  [[nodiscard]] const std::vector<Rule>& rules() const { return rules_; }

 private:
  static constexpr std::uint32_t no_partner = ~std::uint32_t{0};

  // For each result of one term the result of another on the shared labels.
  struct Join {
    std::uint32_t partner = 0;  // term
    std::vector<std::string> shared;
    std::vector<std::uint32_t> of;  // by result of the joined term
    std::size_t partners = 0;       // results of the partner when it was made
  };
  struct ExpressionState {
    std::uint32_t value = 0;  // term
    std::optional<Join> minus;
    std::optional<Join> over;
  };
  struct GuardState {
    ExpressionState expression;
    Join join;  // from the rule's value to the guard's
  };
  struct RuleState {
    ExpressionState expression;
    std::vector<GuardState> guards;
    std::vector<std::vector<AlertState>> alert_states;  // by level, by result of the value
    bool windowed = false;
    std::int64_t settle_ms = 0;
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
  void take(std::size_t rule, std::size_t level, std::size_t result, Change change, const Moment& now,
            std::vector<Transition>& out);
  [[nodiscard]] Alert alert(std::size_t rule, std::size_t level, std::size_t result) const;
  [[nodiscard]] Transition transition(std::size_t rule, std::size_t level, std::size_t result, Change change,
                                      const Moment& now) const;
  // The level of `rules` that has the condition of a level here.
  struct LevelPlace {
    std::size_t rule = 0;
    std::size_t level = 0;
  };
  [[nodiscard]] std::optional<LevelPlace> counterpart(const LevelPlace& place, const std::vector<Rule>& rules) const;
  void end(const LevelPlace& place, bool changed, const Moment& now, std::vector<Transition>& out) const;
  void keep_terms(std::vector<TermState> before);
  void count();

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
