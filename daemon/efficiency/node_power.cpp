#include "daemon/efficiency/node_power.hpp"

#include <algorithm>
#include <utility>

#include "collectors/gpu/metrics.hpp"
#include "collectors/labels.hpp"
#include "collectors/power/metrics.hpp"
#include "collectors/sensor_metrics.hpp"
#include "daemon/record/metrics.hpp"

namespace perjoule {

std::string_view name(NodeSource source) {
  switch (source) {
    case NodeSource::meter:
      return "meter";
    case NodeSource::psu:
      return "psu";
    case NodeSource::sum:
      return "sum";
    case NodeSource::modelled:
      return "modelled";
  }
  return "unknown";
}

std::optional<NodePower::Part> NodePower::classify(const Observation& observation) {
  if (observation.metric == &cpu_package_energy) {
    return observation.origin == Origin::modelled ? Part::modelled_package : Part::package;
  }
  if (observation.metric == &dram_energy || observation.metric == &gpu_energy) return Part::other;
  if (observation.metric == &sensor_energy) {
    const std::string_view role = label_value(observation.label_values, 2);
    if (role == "node") return Part::meter;
    if (role == "psu_in") return Part::psu;
  }
  return std::nullopt;
}

bool NodePower::belongs(Part part, NodeSource source) {
  switch (source) {
    case NodeSource::meter:
      return part == Part::meter;
    case NodeSource::psu:
      return part == Part::psu;
    case NodeSource::sum:
      return part == Part::package || part == Part::other;
    case NodeSource::modelled:
      return part == Part::modelled_package || part == Part::other;
  }
  return false;
}

void NodePower::observe(const Observation& observation) {
  if (observation.metric == &gpu_power) {
    if (observation.value)
      gauges_.insert_or_assign(std::string(observation.label_values), Gauge{*observation.value, observation.steady_ns});
    return;
  }
  const std::optional<Part> part = classify(observation);
  if (!part) return;
  Member& member = members_[observation.series];
  member.part = *part;
  member.origin = observation.origin;
  member.watts = observation.value;
  member.steady_ns = observation.steady_ns;
  member.stale_after_ns = observation.stale_after_ns;
  member.interval_ns = observation.interval_us * 1000;
  member.unbooked += observation.booked;
  member.unobserved_us += observation.unobserved_us;
  member.again = member.updated;
  member.updated = true;
  if (observation.metric == &gpu_energy && member.gpu.empty()) member.gpu = observation.label_values;
}

std::optional<double> NodePower::watts_of(const Member& member) const {
  const auto gauge = gauges_.find(member.gpu);
  const bool read_together = gauge != gauges_.end() && gauge->second.steady_ns == member.steady_ns;
  return read_together ? gauge->second.watts : member.watts;
}

bool NodePower::answers(Part part, std::int64_t now_ns) const {
  return std::any_of(members_.begin(), members_.end(), [&](const auto& item) {
    return item.second.part == part && now_ns - item.second.steady_ns <= item.second.stale_after_ns;
  });
}

// The sum over the source's members. None while a member has no power, because a sum without it would show a drop that
// did not happen; a member that has been silent for its stale_after no longer counts. Meters all measure the same node:
// the largest is taken, as the one closest to the wall socket. Source sum needs a measured package where packages are
// modelled, because DRAM and GPUs alone would pass for the whole node.
std::optional<double> NodePower::power(NodeSource source, std::int64_t now_ns) const {
  const bool is_modelled = answers(Part::modelled_package, now_ns);
  if (source == NodeSource::modelled && !is_modelled) return std::nullopt;
  if (source == NodeSource::sum && is_modelled && !answers(Part::package, now_ns)) return std::nullopt;
  std::optional<double> watts;
  for (const auto& [id, member] : members_) {
    if (!belongs(member.part, source) || now_ns - member.steady_ns > member.stale_after_ns) continue;
    const std::optional<double> part = watts_of(member);
    if (!part) return std::nullopt;
    watts = source == NodeSource::meter ? std::max(watts.value_or(0), *part) : watts.value_or(0) + *part;
  }
  return watts;
}

// Whether the node is to be derived now. Then a new round begins, to which the second reading of the leader belongs.
bool NodePower::begin_round(const Member* leader, std::optional<NodeSource> best, std::int64_t now_ns) {
  if (leader == nullptr) return false;
  // Readings of one tick are less than half an interval apart.
  const std::int64_t apart_ns = leader->interval_ns > 0 ? leader->interval_ns / 2 : leader->stale_after_ns;
  const bool complete = std::all_of(members_.begin(), members_.end(), [&](const auto& item) {
    const Member& member = item.second;
    if (!belongs(member.part, *best) || now_ns - member.steady_ns > member.stale_after_ns) return true;
    return member.updated && now_ns - member.steady_ns < apart_ns;
  });
  const bool changed = best_ && best_ != best;
  if (!complete && !leader->again && !changed) return false;
  for (auto& [id, member] : members_) {
    member.updated = !complete && !changed && &member == leader;
    member.again = false;
  }
  return true;
}

std::optional<NodePower::Derived> NodePower::derive(std::int64_t now_ns) {
  Derived derived;
  for (const NodeSource source : node_sources) {
    const std::optional<double> watts = power(source, now_ns);
    if (watts) derived.readings.push_back({source, *watts});
  }
  if (!derived.readings.empty()) derived.best = derived.readings.front();
  const auto best = derived.best ? std::optional(derived.best->source) : std::nullopt;

  // The leader is the first fresh member of the best source.
  const auto leads = [&](const auto& item) {
    return best && belongs(item.second.part, *best) && now_ns - item.second.steady_ns <= item.second.stale_after_ns;
  };
  const auto first = std::find_if(members_.begin(), members_.end(), leads);
  const Member* leader = first == members_.end() ? nullptr : &first->second;
  if (!begin_round(leader, best, now_ns)) return std::nullopt;

  std::int64_t unobserved_us = 0;
  for (auto& [id, member] : members_) {
    const std::int64_t booked = std::exchange(member.unbooked, 0);
    if (!belongs(member.part, *best)) continue;
    // Several meters measure the same energy, so only the leader's is booked.
    if (*best != NodeSource::meter || &member == leader) {
      derived.booked += booked;
      auto& of_origin = derived.by_origin[static_cast<std::size_t>(member.origin)];
      of_origin = of_origin.value_or(0) + booked;
    }
    unobserved_us = std::max(unobserved_us, member.unobserved_us);
  }
  derived.best_changed = best_ != best;
  // Gaps of a source from before it became the best one are not gaps of the node.
  if (derived.best_changed && best_) unobserved_booked_us_ = unobserved_us;
  derived.unobserved_us = std::max<std::int64_t>(unobserved_us - unobserved_booked_us_, 0);
  unobserved_booked_us_ = std::max(unobserved_us, unobserved_booked_us_);
  best_ = best;
  for (const NodeSource source : node_sources) {
    const bool answers = std::any_of(derived.readings.begin(), derived.readings.end(),
                                     [&](const Reading& reading) { return reading.source == source; });
    bool& answered = answered_[static_cast<std::size_t>(source)];
    if (answered && !answers) derived.gone.push_back(source);
    answered = answers;
  }
  return derived;
}

NodeRow::NodeRow(const Ledger& ledger) {
  const auto keep = [&](const Metric& metric, std::string_view of, std::vector<std::string>& kept) {
    const std::string prefix = std::string(metric.name) + "{" + std::string(of);
    for (const std::string& key : ledger.keys(prefix)) {
      const std::string_view labels = std::string_view(key).substr(metric.name.size() + 1);
      const auto parsed = parse_labels(labels.substr(0, labels.size() - 1));
      if (parsed) kept.emplace_back(label_value(*parsed, "source"));
    }
  };
  keep(node_energy, "", kept_sources_);
  keep(energy_by_source, "device=\"node\"", kept_origins_);
}

void NodeRow::show_kept(Derivation& derivation) {
  if (!kept_sources_.empty()) derivation.book(energy_unobserved, {"node"}, 0);
  for (const std::string& source : std::exchange(kept_sources_, {}))
    derivation.book(node_energy, {source}, 0);
  for (const std::string& origin : std::exchange(kept_origins_, {}))
    derivation.book(energy_by_source, {"node", origin}, 0);
}

std::span<const Metric* const> NodeRow::inputs() const {
  static constexpr std::array<const Metric*, 5> metrics = {&cpu_package_energy, &dram_energy, &sensor_energy,
                                                           &gpu_energy, &gpu_power};
  return metrics;
}

std::span<const Metric* const> NodeRow::outputs() const {
  static constexpr std::array<const Metric*, 3> metrics = {&node_power, &node_energy, &node_reading};
  return metrics;
}

void NodeRow::derive(const Stamp& stamp, Derivation& derivation) {
  show_kept(derivation);
  const std::optional<NodePower::Derived> derived = node_.derive(stamp.steady_ns);
  if (!derived) return;
  for (const NodeSource source : derived->gone)
    derivation.remove(node_reading, {name(source)});
  for (const NodePower::Reading& reading : derived->readings)
    derivation.show(node_reading, {name(reading.source)}, reading.watts);
  if (!derived->best) return;
  const NodeSource best = derived->best->source;
  for (const NodeSource source : node_sources) {
    if (derived->best_changed && source != best) derivation.remove(node_power, {name(source)});
  }
  derivation.show(node_power, {name(best)}, derived->best->watts);
  derivation.book(node_energy, {name(best)}, derived->booked);
  for (const Origin origin : origins) {
    const auto& booked = derived->by_origin[static_cast<std::size_t>(origin)];
    if (booked) derivation.book(energy_by_source, {"node", name(origin)}, *booked);
  }
  derivation.book(energy_unobserved, {"node"}, derived->unobserved_us);
}

}  // namespace perjoule
