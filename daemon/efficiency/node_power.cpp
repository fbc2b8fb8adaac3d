#include "daemon/efficiency/node_power.hpp"

#include <algorithm>
#include <utility>

#include "collectors/gpu/metrics.hpp"
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
  const std::optional<Part> part = classify(observation);
  if (!part) return;
  Member& member = members_[observation.series];
  member.part = *part;
  member.origin = observation.origin;
  member.watts = observation.value;
  member.steady_ns = observation.steady_ns;
  member.stale_after_ns = observation.stale_after_ns;
  member.unbooked += observation.booked;
  member.unobserved_us += observation.unobserved_us;
  member.updated = true;
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
    if (!member.watts) return std::nullopt;
    if (source == NodeSource::meter) {
      watts = std::max(watts.value_or(0), *member.watts);
    } else {
      watts = watts.value_or(0) + *member.watts;
    }
  }
  return watts;
}

std::optional<NodePower::Derived> NodePower::derive(std::int64_t now_ns) {
  Derived derived;
  for (const NodeSource source : node_sources) {
    const std::optional<double> watts = power(source, now_ns);
    if (watts) derived.readings.push_back({source, *watts});
  }
  if (!derived.readings.empty()) derived.best = derived.readings.front();
  const auto best = derived.best ? std::optional(derived.best->source) : std::nullopt;

  // The leader is the first fresh member of the best source; the node is derived when a batch updates it.
  const Member* leader = nullptr;
  bool led = false;
  for (auto& [id, member] : members_) {
    const bool fresh = now_ns - member.steady_ns <= member.stale_after_ns;
    if (best && belongs(member.part, *best) && fresh) {
      leader = &member;
      led = member.updated;
      break;
    }
  }
  for (auto& [id, member] : members_)
    member.updated = false;
  if (!led) return std::nullopt;

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

std::span<const Metric* const> NodeRow::inputs() const {
  static constexpr std::array<const Metric*, 4> metrics = {&cpu_package_energy, &dram_energy, &sensor_energy,
                                                           &gpu_energy};
  return metrics;
}

std::span<const Metric* const> NodeRow::outputs() const {
  static constexpr std::array<const Metric*, 3> metrics = {&node_power, &node_energy, &node_reading};
  return metrics;
}

void NodeRow::derive(const Stamp& stamp, Derivation& derivation) {
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
