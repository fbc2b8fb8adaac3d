// Evaluator: what happens to pending and firing alerts at a reload of the rules, at a restart, and when series are
// gone.
#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "daemon/alerts/evaluate/evaluator.hpp"

namespace perjoule::alerts {

// Keeps the terms that the new rules still use, with their windows, and discards the others.
void Evaluator::keep_terms(std::vector<TermState> before) {
  std::vector<const Term*> wanted;
  for (const Rule& rule : rules_) {
    const std::vector<const Term*> more = terms(rule);
    wanted.insert(wanted.end(), more.begin(), more.end());
  }
  for (TermState& term : before) {
    const bool kept =
        std::any_of(wanted.begin(), wanted.end(), [&term](const Term* other) { return *other == term.term(); });
    if (kept) terms_.push_back(std::move(term));
  }
}

void Evaluator::count() {
  members_ = windows_ = active_ = 0;
  for (const TermState& term : terms_) {
    members_ += term.members();
    windows_ += term.windowed() ? term.members() : 0;
  }
  for (const LevelCount& level : counts())
    active_ += level.pending + level.firing;
}

std::optional<Evaluator::LevelPlace> Evaluator::counterpart(const LevelPlace& place,
                                                            const std::vector<Rule>& rules) const {
  const Rule& rule = rules_[place.rule];
  const Level& level = rule.levels[place.level];
  for (std::size_t r = 0; r < rules.size(); ++r) {
    // Compare the expressions too: different terms can give the same condition_text(), for example a match of the one
    // value "a|b" and of the two values a and b.
    if (rules[r].name != rule.name || rules[r].expression != rule.expression || rules[r].when != rule.when) continue;
    for (std::size_t l = 0; l < rules[r].levels.size(); ++l) {
      const Level& other = rules[r].levels[l];
      if (other.severity == level.severity && condition_text(rules[r], other) == condition_text(rule, level))
        return LevelPlace{r, l};
    }
  }
  return std::nullopt;
}

void Evaluator::end(const LevelPlace& place, bool changed, const Moment& now, std::vector<Transition>& out) const {
  const std::vector<AlertState>& alert_states = states_[place.rule].alert_states[place.level];
  for (std::size_t result = 0; result < alert_states.size(); ++result) {
    if (alert_states[result].at == AlertStage::inactive) continue;
    const bool fires = alert_states[result].at == AlertStage::firing;
    Transition ended = transition(place.rule, place.level, result, fires ? Change::resolved : Change::dropped, now);
    ended.alert.reason = changed ? "the rule was changed" : "the rule was removed";
    out.push_back(std::move(ended));
  }
}

std::vector<Transition> Evaluator::set_rules(std::vector<Rule> rules, const Moment& now) {
  std::vector<Transition> out;
  struct Kept {
    LevelPlace from;
    LevelPlace to;
  };
  std::vector<Kept> kept;
  for (std::size_t r = 0; r < rules_.size(); ++r) {
    const bool there =
        std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) { return rule.name == rules_[r].name; });
    for (std::size_t l = 0; l < rules_[r].levels.size(); ++l) {
      const LevelPlace from{r, l};
      if (const auto to = counterpart(from, rules)) {
        kept.push_back({from, *to});
      } else {
        end(from, there, now, out);
      }
    }
  }
  const std::vector<RuleState> before = std::exchange(states_, {});
  rules_ = std::move(rules);
  keep_terms(std::exchange(terms_, {}));
  for (const Rule& rule : rules_)
    states_.push_back(state(rule));
  for (const Kept& level : kept)
    states_[level.to.rule].alert_states[level.to.level] = before[level.from.rule].alert_states[level.from.level];
  count();
  return out;
}

std::set<std::size_t> Evaluator::active_results(std::uint32_t term) const {
  std::set<std::size_t> active;
  for (const RuleState& state : states_) {
    if (state.expression.value != term) continue;
    for (const std::vector<AlertState>& alert_states : state.alert_states) {
      for (std::size_t result = 0; result < alert_states.size(); ++result) {
        if (alert_states[result].at != AlertStage::inactive) active.insert(result);
      }
    }
  }
  return active;
}

void Evaluator::move_results(std::uint32_t term, const std::vector<std::optional<std::size_t>>& moved) {
  for (RuleState& state : states_) {
    if (state.expression.value != term) continue;
    for (std::vector<AlertState>& alert_states : state.alert_states) {
      std::vector<AlertState> kept(terms_[term].results().size());
      for (std::size_t result = 0; result < alert_states.size(); ++result) {
        if (moved[result]) kept[*moved[result]] = alert_states[result];
      }
      alert_states = std::move(kept);
    }
  }
}

void Evaluator::rebuild_joins(RuleState& state) {
  const auto rebuild = [](ExpressionState& expression) {
    for (std::optional<Join>* join : {&expression.minus, &expression.over}) {
      if (*join) (*join)->partners = SIZE_MAX;
    }
  };
  rebuild(state.expression);
  for (GuardState& guard : state.guards) {
    rebuild(guard.expression);
    guard.join.partners = SIZE_MAX;
  }
}

void Evaluator::forget(std::span<const Place> gone) {
  std::map<std::uint32_t, std::vector<char>> by_term;
  for (const Place& place : gone) {
    std::vector<char>& members = by_term[place.term];
    members.resize(terms_[place.term].members());
    members[place.member] = 1;
  }
  for (const auto& [term, members] : by_term)
    move_results(term, terms_[term].drop(members, active_results(term)));
  for (RuleState& state : states_)
    rebuild_joins(state);
  count();
}

std::optional<Transition> Evaluator::restore(const Remembered& remembered, const Moment& now) {
  const Alert& alert = remembered.alert;
  Transition ended{alert, alert.phase == Phase::firing ? Change::resolved : Change::dropped, remembered.condition,
                   remembered.since_ms};
  if (alert.phase == Phase::firing) {
    ended.alert.phase = Phase::resolved;
    ended.alert.ends_ms = now.wall_ms;
  }
  ended.alert.reason = "the rule was removed";
  for (std::size_t r = 0; r < rules_.size(); ++r) {
    if (rules_[r].name != alert.name) continue;
    ended.alert.reason = "the rule was changed";
    for (std::size_t l = 0; l < rules_[r].levels.size(); ++l) {
      const Level& level = rules_[r].levels[l];
      if (level.severity != alert.severity || condition_text(rules_[r], level) != remembered.condition) continue;
      TermState& base = terms_[states_[r].expression.value];
      Labels labels = alert.labels;
      for (const Match& match : base.term().match) {
        if (is_own_label(match.label) && base.term().aggregation == Aggregation::none)
          labels.emplace_back(match.label, match.values.front());
      }
      std::sort(labels.begin(), labels.end());
      std::vector<AlertState>& alert_states = states_[r].alert_states[l];
      const std::size_t result = base.result(labels);
      alert_states.resize(base.results().size());
      AlertState& state = alert_states[result];
      state.at = alert.phase == Phase::firing ? AlertStage::firing : AlertStage::pending;
      state.value = alert.value;
      state.starts_ms = alert.starts_ms;
      state.since_ms = now.steady_ms - std::max<std::int64_t>(now.wall_ms - remembered.since_ms, 0);
      state.active_ms = remembered.since_ms;
      state.restored_until_ms = now.steady_ms + states_[r].settle_ms;
      ++active_;
      return std::nullopt;
    }
  }
  return ended;
}

}  // namespace perjoule::alerts
