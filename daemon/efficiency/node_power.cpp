#include "daemon/efficiency/node_power.hpp"

#include <algorithm>
#include <utility>

#include "collectors/power/metrics.hpp"
#include "collectors/sensor_metrics.hpp"

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

std::optional<NodeSource> NodePower::classify(const Observation& observation) {
  const auto last_label = [&] {
    std::string_view values = observation.label_values;
    if (!values.empty()) values.remove_suffix(1);
    const std::size_t at = values.rfind('\0');
    return at == std::string_view::npos ? values : values.substr(at + 1);
  };
  if (observation.metric == &cpu_package_energy) {
    return observation.origin == Origin::modelled ? NodeSource::modelled : NodeSource::sum;
  }
  if (observation.metric == &dram_energy) return NodeSource::sum;
  if (observation.metric == &sensor_energy) {
    const std::string_view role = last_label();
    if (role == "node") return NodeSource::meter;
    if (role == "psu_in") return NodeSource::psu;
  }
  return std::nullopt;
}

void NodePower::observe(const Observation& observation) {
  const std::optional<NodeSource> source = classify(observation);
  if (!source) return;
  Member& member = members_[observation.series];
  member.source = *source;
  member.origin = observation.origin;
  member.watts = observation.watts;
  member.steady_ns = observation.steady_ns;
  member.stale_after_ns = observation.stale_after_ns;
  member.unbooked += observation.booked;
  member.unobserved_us += observation.unobserved_us;
  member.updated = true;
}

// The sum over the source's members, or nothing while one of them is silent: a sum that lacks a part would be a fall in
// power that did not happen. A member that has been silent for its whole life span no longer counts as one. Meters are
// views of one node: the largest is the one nearest to the wall.
std::optional<double> NodePower::power(NodeSource source, std::int64_t now_ns) const {
  std::optional<double> watts;
  for (const auto& [id, member] : members_) {
    if (member.source != source || now_ns - member.steady_ns > member.stale_after_ns) continue;
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

  // The leader is the first fresh member of the best source.
  const Member* leader = nullptr;
  bool led = false;
  for (auto& [id, member] : members_) {
    const bool fresh = now_ns - member.steady_ns <= member.stale_after_ns;
    if (best && member.source == *best && fresh) {
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
    if (member.source != *best) continue;
    // Only one of several meters may book the node's energy.
    if (*best != NodeSource::meter || &member == leader) derived.booked += booked;
    derived.origin = member.origin;
    unobserved_us = std::max(unobserved_us, member.unobserved_us);
  }
  derived.best_changed = best_ != best;
  // What a source did not observe before it became the best one is not the node's gap.
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

}  // namespace perjoule
