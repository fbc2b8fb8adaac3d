#include "daemon/efficiency/node_power.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace perjoule {

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t first_wait_ns = 10 * second_ns;  // for members, and before the first change of the label
constexpr std::int64_t label_stays_ns = 60 * second_ns;
constexpr std::int64_t closed_wait_ns = 3600 * second_ns;
constexpr std::int64_t say_silent_ns = 5 * second_ns;
constexpr int readings_to_judge = 3;
constexpr double low_ratio = 0.05;
constexpr double low_watts = 10;

NodeSource label_of(NodeCandidate candidate, const NodeMembers::Figure& figure) {
  switch (candidate) {
    case NodeCandidate::meter:
      return NodeSource::meter;
    case NodeCandidate::psu:
      return NodeSource::psu;
    case NodeCandidate::psys:
      return NodeSource::psys;
    case NodeCandidate::parts:
      break;
  }
  if (figure.is_modelled) return NodeSource::modelled;
  return figure.modelled_watts > 0 ? NodeSource::mixed : NodeSource::sum;
}

bool is_below(double watts, double least) {
  return least - watts > low_watts && least - watts > low_ratio * least;
}

std::size_t index(NodeCandidate candidate) {
  return static_cast<std::size_t>(candidate);
}

}  // namespace

std::string_view name(NodeSource source) {
  switch (source) {
    case NodeSource::meter:
      return "meter";
    case NodeSource::psu:
      return "psu";
    case NodeSource::psys:
      return "psys";
    case NodeSource::sum:
      return "sum";
    case NodeSource::mixed:
      return "mixed";
    case NodeSource::modelled:
      return "modelled";
  }
  return "unknown";
}

void NodePower::expect(const std::vector<std::string>& keys) {
  expected_ = keys;
}

void NodePower::close(const std::unordered_set<SeriesId>& ids, std::int64_t now_ns) {
  members_.close(ids, now_ns + (now_ns < reload_ends_ns_ ? first_wait_ns : closed_wait_ns));
}

bool NodePower::is_ready(std::int64_t now_ns) {
  if (!began_ns_) {
    began_ns_ = now_ns;
    for (std::string& key : std::exchange(expected_, {}))
      members_.await(std::move(key), now_ns + first_wait_ns);
  }
  if (std::exchange(reloaded_, false)) {
    reload_ends_ns_ = now_ns + first_wait_ns;
    members_.await_until(reload_ends_ns_);
  }
  std::optional<std::string> awaited = members_.awaited(now_ns);
  const bool is_ready = !awaited && (settled_ || now_ns - *began_ns_ >= first_wait_ns);
  if (!is_ready) say_silent(std::move(awaited).value_or(""), now_ns);
  return is_ready;
}

void NodePower::say_silent(std::string key, std::int64_t now_ns) {
  if (key.empty() || silent_.empty()) silent_ns_ = now_ns;
  silent_ = std::move(key);
}

std::string NodePower::why_low(NodeCandidate candidate, double watts, std::int64_t now_ns) const {
  const double parts = members_.measured_parts(now_ns);
  if (is_below(watts, parts)) return fmt::format("it shows {:.0f} W, and the node's parts draw {:.0f} W", watts, parts);
  if (candidate != NodeCandidate::psu) return {};
  const auto supply = members_.worst_supply(now_ns);
  if (!supply || !is_below(supply->in, supply->out)) return {};
  return fmt::format("the input of {} shows {:.0f} W, and its output {:.0f} W", supply->chip, supply->in, supply->out);
}

// A reading counts once, though other members are read between two of it; until the next one it may still turn out
// plausible, when they are.
void NodePower::judge(NodeCandidate candidate, const NodeMembers::Figure& figure, std::int64_t now_ns,
                      Derived& derived) {
  Trust& trust = trust_[index(candidate)];
  const NodeMembers::Member* const first = leader(candidate, now_ns);
  if (!figure.watts || first == nullptr) return;
  const bool is_new = std::exchange(trust.read_ns, first->steady_ns) != first->steady_ns;
  std::string why = why_low(candidate, *figure.watts, now_ns);
  if (why.empty()) {
    trust.low = 0;
    if (is_new) ++trust.good;
    if (trust.good >= readings_to_judge) trust.refused = false;
    return;
  }
  trust.good = 0;
  trust.low = is_new ? trust.low + 1 : std::max(trust.low, 1);
  if (trust.low < readings_to_judge || trust.refused) return;
  trust.refused = true;
  trust.why = std::move(why);
  derived.refused.push_back(label_of(candidate, figure));
}

std::optional<NodePower::Choice> NodePower::best_of(const Figures& figures) const {
  for (const NodeCandidate candidate : node_candidates) {
    const NodeMembers::Figure& figure = figures[index(candidate)];
    if (figure.watts && !trust_[index(candidate)].refused) return Choice{candidate, label_of(candidate, figure)};
  }
  return std::nullopt;
}

// The label that is there, if its source has a figure. `mixed` may be said of a sum without a modelled part, never the
// reverse.
std::optional<NodePower::Choice> NodePower::kept(const Figures& figures) const {
  if (!chosen_) return std::nullopt;
  const NodeMembers::Figure& figure = figures[index(chosen_->candidate)];
  const bool is_usable = figure.watts && !trust_[index(chosen_->candidate)].refused;
  const bool is_true = chosen_->label == label_of(chosen_->candidate, figure) ||
                       (chosen_->label == NodeSource::mixed && figure.modelled_watts == 0);
  return is_usable && is_true ? chosen_ : std::nullopt;
}

std::optional<NodePower::Choice> NodePower::choose(const std::optional<Choice>& best, const Figures& figures,
                                                   std::int64_t now_ns) {
  if (!best || (chosen_ && best->label == chosen_->label)) return best;
  if (chosen_ && now_ns - chosen_ns_ < (changed_ ? label_stays_ns : first_wait_ns)) {
    return kept(figures);
  }
  changed_ = chosen_.has_value();
  changes_ = true;
  if (changed_ && chosen_->candidate != best->candidate) left_ = chosen_->candidate;
  chosen_ = best;
  chosen_ns_ = now_ns;
  return best;
}

// The first member that its figure has now.
NodeMembers::Member* NodePower::leader(NodeCandidate candidate, std::int64_t now_ns) {
  for (auto& [id, member] : members_.list()) {
    if (members_.counts(member, candidate, now_ns)) return &member;
  }
  return nullptr;
}

// Whether the node is to be derived now. Then a new round begins, to which the second reading of the leader belongs.
bool NodePower::begin_round(NodeCandidate candidate, std::int64_t now_ns) {
  const NodeMembers::Member* const first = leader(candidate, now_ns);
  if (first == nullptr) return false;
  // Readings of one tick are less than half an interval apart.
  const std::int64_t apart_ns = first->interval_ns > 0 ? first->interval_ns / 2 : first->stale_after_ns;
  const bool complete = std::all_of(members_.list().begin(), members_.list().end(), [&](const auto& item) {
    const NodeMembers::Member& member = item.second;
    if (!members_.counts(member, candidate, now_ns)) return true;
    return member.updated && now_ns - member.steady_ns < apart_ns;
  });
  const bool changes = changes_;
  if (!complete && !first->again && !changes) return false;
  changes_ = false;
  for (auto& [id, member] : members_.list()) {
    member.updated = !complete && !changes && &member == first;
    member.again = false;
  }
  return true;
}

void NodePower::list_readings(const Figures& figures, Derived& derived) {
  std::array<bool, node_sources.size()> answers{};
  for (const NodeCandidate candidate : node_candidates) {
    const NodeMembers::Figure& figure = figures[index(candidate)];
    if (!figure.watts) continue;
    const NodeSource label = label_of(candidate, figure);
    derived.readings.push_back({label, *figure.watts});
    answers[static_cast<std::size_t>(label)] = true;
  }
  for (const NodeSource source : node_sources) {
    bool& answered = answered_[static_cast<std::size_t>(source)];
    if (answered && !answers[static_cast<std::size_t>(source)]) derived.gone.push_back(source);
    answered = answers[static_cast<std::size_t>(source)];
  }
}

// Several meters measure the same energy, so only the leader's is booked.
void NodePower::book(NodeCandidate candidate, std::int64_t now_ns, Derived& derived) {
  const NodeMembers::Member* const first = leader(candidate, now_ns);
  std::int64_t unobserved_us = 0;
  const auto take = [&](NodeMembers::Member& member) {
    const std::int64_t booked = std::exchange(member.unbooked, 0);
    if (!NodeMembers::belongs(member.part, candidate)) return;
    unobserved_us = std::max(unobserved_us, member.unobserved_us);
    if (candidate == NodeCandidate::meter && &member != first) return;
    derived.booked += booked;
    auto& of_origin = derived.by_origin[static_cast<std::size_t>(member.origin)];
    of_origin = of_origin.value_or(0) + booked;
  };
  for (auto& [id, member] : members_.list())
    take(member);
  for (NodeMembers::Member& member : members_.departed())
    take(member);
  members_.departed().clear();
  // Gaps of a source from before it became the best one are not gaps of the node.
  if (left_) unobserved_booked_us_ = unobserved_us;
  derived.unobserved_us = std::max<std::int64_t>(unobserved_us - unobserved_booked_us_, 0);
  unobserved_booked_us_ = std::max(unobserved_us, unobserved_booked_us_);
  if (const auto left = std::exchange(left_, std::nullopt)) derived.unobserved_us += missed_us(*left, now_ns);
  round_ns_ = now_ns;
}

// A member that fell silent is not waited for until it is stale: so long the node was booked without it.
std::int64_t NodePower::missed_us(NodeCandidate left, std::int64_t now_ns) {
  std::int64_t missed_ns = 0;
  for (const auto& [id, member] : members_.list()) {
    const bool is_silent = now_ns - member.steady_ns > member.stale_after_ns;
    if (is_silent && NodeMembers::belongs(member.part, left))
      missed_ns = std::max(missed_ns, round_ns_ - member.steady_ns);
  }
  return missed_ns / 1000;
}

std::optional<NodePower::Derived> NodePower::derive(std::int64_t now_ns) {
  if (!std::exchange(touched_, false)) return std::nullopt;
  Derived derived;
  if (!is_ready(now_ns)) {
    if (!shown_ || now_ns < reload_ends_ns_) return std::nullopt;
    derived.hidden = std::exchange(shown_, std::nullopt);
    return derived;
  }
  Figures figures;
  for (const NodeCandidate candidate : node_candidates)
    figures[index(candidate)] = members_.figure(candidate, now_ns);
  // A first source is chosen when the parts, against which it is judged, are known.
  const bool waits_for_parts = !chosen_ && figures[index(NodeCandidate::parts)].silent != nullptr;
  if (waits_for_parts && now_ns - *began_ns_ < first_wait_ns) return std::nullopt;
  for (const NodeCandidate candidate : {NodeCandidate::meter, NodeCandidate::psu, NodeCandidate::psys})
    judge(candidate, figures[index(candidate)], now_ns, derived);

  // What a source in doubt shows is neither shown nor refused yet.
  const std::optional<Choice> best = best_of(figures);
  const bool is_doubtful = best && trust_[index(best->candidate)].low > 0;
  const std::optional<Choice> choice = is_doubtful ? kept(figures) : choose(best, figures, now_ns);
  const NodeMembers::Member* const silent =
      choice ? nullptr : figures[index(chosen_ ? chosen_->candidate : NodeCandidate::parts)].silent;
  say_silent(silent == nullptr ? "" : silent->key, now_ns);
  if (!choice) {
    derived.hidden = std::exchange(shown_, std::nullopt);
    if (!derived.hidden && derived.refused.empty()) return std::nullopt;
    list_readings(figures, derived);
    return derived;
  }
  if (trust_[index(choice->candidate)].low > 0 || !begin_round(choice->candidate, now_ns)) {
    if (derived.refused.empty()) return std::nullopt;
    list_readings(figures, derived);
    return derived;
  }
  const NodeMembers::Figure& figure = figures[index(choice->candidate)];
  book(choice->candidate, now_ns, derived);
  list_readings(figures, derived);
  derived.best = Reading{choice->label, *figure.watts};
  derived.modelled_watts = figure.modelled_watts;
  if (shown_ != choice->label) derived.hidden = shown_;
  shown_ = choice->label;
  return derived;
}

std::string NodePower::note(std::int64_t now_ns) const {
  for (const NodeCandidate candidate : node_candidates) {
    const Trust& trust = trust_[index(candidate)];
    if (trust.refused)
      return fmt::format("The node's source {} is refused: {}.", name(label_of(candidate, {})), trust.why);
  }
  return silent_.empty() || now_ns - silent_ns_ < say_silent_ns
             ? ""
             : fmt::format("The node's power is absent: {} is silent.", silent_);
}

}  // namespace perjoule
