#include "daemon/alerts/evaluate/evaluator.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "daemon/alerts/rules/summary.hpp"

namespace perjoule::alerts {

namespace {

// After a restart, a restored alert without data is kept at least this long: its probe may take a while to start.
constexpr std::int64_t settle_min_ms = 60'000;

std::string join_key(const Labels& labels, const std::vector<std::string>& shared) {
  std::string key;
  for (const std::string& name : shared)
    key.append(label_value(labels, name)) += '\0';
  return key;
}

}  // namespace

std::uint32_t Evaluator::term(const Term& wanted) {
  const auto found =
      std::find_if(terms_.begin(), terms_.end(), [&wanted](const TermState& state) { return state.term() == wanted; });
  const auto index = static_cast<std::uint32_t>(found - terms_.begin());
  if (found == terms_.end()) terms_.emplace_back(wanted);
  return index;
}

Evaluator::Join Evaluator::join(const Term& from, const Term& to) {
  Join made{term(to), {}, {}, 0};
  const std::vector<std::string> here = free_labels(from);
  for (const std::string& label : free_labels(to)) {
    if (std::find(here.begin(), here.end(), label) != here.end()) made.shared.push_back(label);
  }
  return made;
}

Evaluator::ExpressionState Evaluator::expression(const Expression& wanted) {
  ExpressionState made{term(wanted.value), {}, {}};
  if (wanted.minus) made.minus = join(wanted.value, *wanted.minus);
  if (wanted.over) made.over = join(wanted.value, *wanted.over);
  return made;
}

Evaluator::RuleState Evaluator::state(const Rule& rule) {
  RuleState made{expression(rule.expression), {}, {}, false, settle_min_ms};
  for (const Guard& guard : rule.when)
    made.guards.push_back({expression(guard.expression), join(rule.expression.value, guard.expression.value)});
  made.alert_states.resize(rule.levels.size());
  for (const Term* term : terms(rule)) {
    if (!has_window(*term)) continue;
    made.windowed = true;
    made.settle_ms = std::max(made.settle_ms, term->window_ms);
  }
  return made;
}

bool Evaluator::reads(std::string_view metric) const {
  return std::any_of(terms_.begin(), terms_.end(),
                     [metric](const TermState& term) { return term.term().metric == metric; });
}

std::vector<Evaluator::Place> Evaluator::adopt(std::string_view metric, const Labels& labels) {
  std::vector<Place> places;
  for (std::size_t i = 0; i < terms_.size(); ++i) {
    TermState& term = terms_[i];
    if (!term.matches(metric, labels)) continue;
    if (!term.knows(labels)) {
      if (members_ >= limits_.members || (term.windowed() && windows_ >= limits_.windows)) {
        ++overflow_.series;
        continue;
      }
      ++members_;
      windows_ += term.windowed() ? 1U : 0U;
    }
    places.push_back({static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(term.add(labels))});
  }
  return places;
}

void Evaluator::refresh(Join& join, const TermState& from) {
  const auto& partners = terms_[join.partner].results();
  if (join.of.size() == from.results().size() && join.partners == partners.size()) return;
  std::map<std::string, std::uint32_t> by_key;
  std::set<std::string> several;
  for (std::size_t i = 0; i < partners.size(); ++i) {
    std::string key = join_key(partners[i].labels, join.shared);
    if (!by_key.emplace(key, static_cast<std::uint32_t>(i)).second) several.insert(std::move(key));
  }
  join.partners = partners.size();
  join.of.clear();
  for (const TermState::Result& result : from.results()) {
    const std::string key = join_key(result.labels, join.shared);
    const auto found = by_key.find(key);
    const bool two = several.contains(key);
    if (two) ++overflow_.partners;
    join.of.push_back(found == by_key.end() || two ? no_partner : found->second);
  }
}

void Evaluator::refresh(ExpressionState& expression) {
  if (expression.minus) refresh(*expression.minus, terms_[expression.value]);
  if (expression.over) refresh(*expression.over, terms_[expression.value]);
}

std::optional<double> Evaluator::value(const ExpressionState& expression, std::size_t result) const {
  std::optional<double> known = terms_[expression.value].results()[result].value;
  const auto partner = [&](const Join& join) -> std::optional<double> {
    const std::uint32_t index = join.of[result];
    if (index == no_partner) return std::nullopt;
    return terms_[join.partner].results()[index].value;
  };
  if (known && expression.minus) {
    const std::optional<double> minus = partner(*expression.minus);
    known = minus ? std::optional(*known - *minus) : std::nullopt;
  }
  if (known && expression.over) {
    const std::optional<double> over = partner(*expression.over);
    known = over ? std::optional(*known / *over) : std::nullopt;
  }
  if (known && std::isnan(*known)) return std::nullopt;
  return known;
}

Observed Evaluator::observed(const Rule& rule, const RuleState& state, std::size_t result) const {
  Observed seen{value(state.expression, result), true, state.windowed};
  for (std::size_t i = 0; i < state.guards.size() && seen.value; ++i) {
    const std::uint32_t partner = state.guards[i].join.of[result];
    const std::optional<double> guard =
        partner == no_partner ? std::nullopt : value(state.guards[i].expression, partner);
    if (!guard) {
      seen.value.reset();
    } else {
      const bool holds = rule.when[i].above ? *guard > rule.when[i].threshold : *guard < rule.when[i].threshold;
      seen.guarded = seen.guarded && holds;
    }
  }
  return seen;
}

// Fills in an alert that is pending or firing.
Alert Evaluator::alert(std::size_t rule, std::size_t level, std::size_t result) const {
  const Rule& source = rules_[rule];
  const AlertState& state = states_[rule].alert_states[level][result];
  Alert alert;
  alert.name = source.name;
  alert.severity = source.levels[level].severity;
  alert.cause = source.cause;
  alert.labels = terms_[states_[rule].expression.value].results()[result].labels;
  alert.value = state.value;
  alert.summary = fill_summary(source.summary, alert.labels, alert.value);
  alert.runbook = source.runbook;
  std::erase_if(alert.labels, [](const auto& label) { return is_own_label(label.first); });
  if (state.at == AlertStage::firing) {
    alert.phase = Phase::firing;
    alert.starts_ms = state.starts_ms;
  }
  return alert;
}

Transition Evaluator::transition(std::size_t rule, std::size_t level, std::size_t result, Change change,
                                 const Moment& now) const {
  const AlertState& state = states_[rule].alert_states[level][result];
  Transition made{alert(rule, level, result), change, condition_text(rules_[rule], rules_[rule].levels[level]),
                  now.wall_ms - (now.steady_ms - state.since_ms)};
  Alert& alert = made.alert;
  alert.phase = change == Change::pending || change == Change::dropped ? Phase::pending : Phase::firing;
  alert.starts_ms = alert.phase == Phase::firing ? state.starts_ms : 0;
  if (change == Change::resolved || change == Change::lost) {
    alert.phase = Phase::resolved;
    alert.ends_ms = now.wall_ms;
    if (change == Change::lost) alert.reason = "no data";
  }
  return made;
}

void Evaluator::record_change(std::size_t rule, std::size_t level, std::size_t result, Change change, const Moment& now,
                              std::vector<Transition>& out) {
  if (change == Change::none) return;
  if (change == Change::pending) ++active_;
  if (change == Change::dropped || change == Change::resolved || change == Change::lost) --active_;
  out.push_back(transition(rule, level, result, change, now));
}

void Evaluator::evaluate(std::size_t rule, const Moment& now, std::vector<Transition>& out) {
  const Rule& source = rules_[rule];
  RuleState& state = states_[rule];
  const TermState& base = terms_[state.expression.value];
  refresh(state.expression);
  for (GuardState& guard : state.guards) {
    refresh(guard.expression);
    refresh(guard.join, base);
  }
  for (std::vector<AlertState>& alert_states : state.alert_states)
    alert_states.resize(base.results().size());
  for (std::size_t result = 0; result < base.results().size(); ++result) {
    const Observed seen = observed(source, state, result);
    for (std::size_t level = 0; level < source.levels.size(); ++level) {
      AlertState& alert_state = state.alert_states[level][result];
      const AlertState before = alert_state;
      const Transitions transitions = step(alert_state, source.levels[level], source.hold_ms, seen, now);
      if (transitions.first == Change::pending && active_ >= limits_.active) {
        alert_state = before;
        ++overflow_.alerts;
        continue;
      }
      record_change(rule, level, result, transitions.first, now, out);
      record_change(rule, level, result, transitions.second, now, out);
    }
  }
}

std::vector<Transition> Evaluator::evaluate(const Moment& now) {
  std::vector<Transition> out;
  for (TermState& term : terms_)
    term.compute(now.steady_ms);
  for (std::size_t rule = 0; rule < rules_.size(); ++rule)
    evaluate(rule, now, out);
  return out;
}

std::vector<Active> Evaluator::active() const {
  std::vector<Active> active;
  for (std::size_t r = 0; r < rules_.size(); ++r) {
    for (std::size_t l = 0; l < rules_[r].levels.size(); ++l) {
      const std::vector<AlertState>& alert_states = states_[r].alert_states[l];
      for (std::size_t result = 0; result < alert_states.size(); ++result) {
        const AlertState& state = alert_states[result];
        if (state.at == AlertStage::inactive) continue;
        const bool clears = state.cleared_ms != AlertState::never;
        active.push_back({alert(r, l, result), state.active_ms, clears ? state.cleared_wall_ms : 0});
      }
    }
  }
  return active;
}

std::vector<Alert> Evaluator::firing() const {
  std::vector<Alert> alerts;
  for (Active& each : active()) {
    if (each.alert.phase == Phase::firing) alerts.push_back(std::move(each.alert));
  }
  return alerts;
}

std::vector<LevelCount> Evaluator::counts() const {
  std::vector<LevelCount> counts;
  for (std::size_t r = 0; r < rules_.size(); ++r) {
    for (std::size_t l = 0; l < rules_[r].levels.size(); ++l) {
      const std::vector<AlertState>& alert_states = states_[r].alert_states[l];
      const auto at = [&alert_states](AlertStage point) {
        return static_cast<std::size_t>(std::count_if(alert_states.begin(), alert_states.end(),
                                                      [point](const AlertState& state) { return state.at == point; }));
      };
      counts.push_back({&rules_[r], &rules_[r].levels[l], at(AlertStage::pending), at(AlertStage::firing)});
    }
  }
  return counts;
}

}  // namespace perjoule::alerts
