#include "daemon/efficiency/node_members.hpp"

#include <algorithm>
#include <utility>

#include "collectors/gpu/metrics.hpp"
#include "collectors/labels.hpp"
#include "collectors/power/metrics.hpp"
#include "collectors/sensor_metrics.hpp"
#include "daemon/record/series.hpp"

namespace perjoule {

namespace {

using Part = NodeMembers::Part;
using Member = NodeMembers::Member;

std::optional<Part> part_of(const Observation& observation) {
  if (observation.metric == &cpu_package_energy)
    return observation.origin == Origin::modelled ? Part::modelled_package : Part::package;
  if (observation.metric == &dram_energy) return Part::dram;
  if (observation.metric == &gpu_energy) return Part::gpu;
  if (observation.metric == &psys_energy) return Part::psys;
  if (observation.metric != &sensor_energy) return std::nullopt;
  const std::string_view role = label_value(observation.label_values, 2);
  if (role == "node") return Part::meter;
  if (role == "psu_in") return Part::psu_in;
  if (role == "psu_out") return Part::psu_out;
  return std::nullopt;
}

bool is_fresh(const Member& member, std::int64_t now_ns) {
  return now_ns - member.steady_ns <= member.stale_after_ns;
}

// A counter that moves every 100 ms gives the power of a second with an error of 10 %, so a GPU's gauge is better where
// both were read together.
std::optional<double> watts_of(const Member& member) {
  const bool read_together = member.board != nullptr && member.board->steady_ns == member.steady_ns;
  return read_together ? member.board->watts : member.watts;
}

bool is_known(const Member& member, std::int64_t now_ns) {
  return is_fresh(member, now_ns) && watts_of(member);
}

// A suspended GPU is not read. It draws next to nothing.
bool is_suspended(const Member& member, std::int64_t now_ns) {
  return member.board != nullptr && member.board->suspended_ns > member.steady_ns &&
         now_ns - member.board->suspended_ns <= member.stale_after_ns;
}

}  // namespace

bool NodeMembers::belongs(Part part, NodeCandidate candidate) {
  switch (candidate) {
    case NodeCandidate::meter:
      return part == Part::meter;
    case NodeCandidate::psu:
      return part == Part::psu_in;
    case NodeCandidate::psys:
      return part == Part::psys;
    case NodeCandidate::parts:
      break;
  }
  return part == Part::package || part == Part::modelled_package || part == Part::dram || part == Part::gpu;
}

Member& NodeMembers::add(const Observation& observation, Part part) {
  const auto [found, added] = members_.try_emplace(observation.series);
  Member& member = found->second;
  if (!added) return member;
  member.part = part;
  member.key = ledger_key(*observation.metric, observation.label_values);
  member.place = label_value(observation.label_values, 0);
  if (part == Part::gpu) member.board = &boards_[std::string(observation.label_values)];
  awaited_.erase(member.key);
  return member;
}

bool NodeMembers::observe(const Observation& observation) {
  if (observation.metric == &gpu_power) {
    if (!observation.value) return false;
    Board& board = boards_[std::string(observation.label_values)];
    board.watts = *observation.value;
    board.steady_ns = observation.steady_ns;
    return false;
  }
  if (observation.metric == &gpu_runtime_suspended) {
    if (observation.value.value_or(0) > 0)
      boards_[std::string(observation.label_values)].suspended_ns = observation.steady_ns;
    return true;
  }
  const std::optional<Part> part = part_of(observation);
  if (!part) return false;
  Member& member = add(observation, *part);
  member.origin = observation.origin;
  member.watts = observation.value;
  member.stands = observation.stands;
  member.steady_ns = observation.steady_ns;
  member.stale_after_ns = observation.stale_after_ns;
  member.interval_ns = observation.interval_us * 1000;
  member.unobserved_us += observation.unobserved_us;
  member.again = member.updated;
  member.updated = true;
  // Where a package is measured and modelled, the model's energy is not the node's.
  if (*part != Part::modelled_package || model_stands_in(member, observation.steady_ns))
    member.unbooked += observation.booked;
  return true;
}

void NodeMembers::forget(const std::unordered_set<SeriesId>& ids) {
  std::erase_if(members_, [&](auto& item) {
    if (!ids.contains(item.first)) return false;
    if (item.second.unbooked != 0) departed_.push_back(std::move(item.second));
    return true;
  });
}

void NodeMembers::close(const std::unordered_set<SeriesId>& ids, std::int64_t until_ns) {
  for (const auto& [id, member] : members_) {
    const bool needed = member.part != Part::psu_out && member.part != Part::modelled_package;
    if (ids.contains(id) && needed) await(member.key, until_ns);
  }
  forget(ids);
}

void NodeMembers::await(std::string key, std::int64_t until_ns) {
  const std::string head = std::string(cpu_package_energy.name) + '{';
  Awaited awaited{until_ns, {}};
  if (key.starts_with(head)) {
    const auto labels = parse_labels(std::string_view(key).substr(head.size(), key.size() - head.size() - 1));
    if (labels) awaited.package = label_value(*labels, "package");
  }
  awaited_.insert_or_assign(std::move(key), std::move(awaited));
}

void NodeMembers::await_until(std::int64_t until_ns) {
  for (auto& [key, awaited] : awaited_)
    awaited.until_ns = std::min(awaited.until_ns, until_ns);
}

std::optional<std::string> NodeMembers::awaited(std::int64_t now_ns) {
  std::erase_if(awaited_, [&](const auto& item) { return now_ns >= item.second.until_ns; });
  for (const auto& [key, awaited] : awaited_) {
    const Member* const modelled = awaited.package.empty() ? nullptr : find(Part::modelled_package, awaited.package);
    if (modelled == nullptr || !is_known(*modelled, now_ns)) return key;
  }
  return std::nullopt;
}

const Member* NodeMembers::find(Part part, std::string_view place) const {
  const auto found = std::find_if(members_.begin(), members_.end(), [&](const auto& item) {
    return item.second.part == part && item.second.place == place;
  });
  return found == members_.end() ? nullptr : &found->second;
}

bool NodeMembers::model_stands_in(const Member& modelled, std::int64_t now_ns) const {
  const Member* const measured = find(Part::package, modelled.place);
  return measured == nullptr || measured->stands || !is_fresh(*measured, now_ns);
}

bool NodeMembers::counts(const Member& member, NodeCandidate candidate, std::int64_t now_ns) const {
  if (!belongs(member.part, candidate)) return false;
  switch (member.part) {
    case Part::meter:
      return is_known(member, now_ns);  // of several, one is enough
    case Part::package: {
      if (is_known(member, now_ns)) return true;
      const Member* const modelled = find(Part::modelled_package, member.place);
      return modelled == nullptr || !is_known(*modelled, now_ns);
    }
    case Part::modelled_package: {
      const Member* const measured = find(Part::package, member.place);
      return measured == nullptr || (!is_known(*measured, now_ns) && is_known(member, now_ns));
    }
    case Part::dram:
      return !member.stands;
    case Part::gpu:
      return !is_suspended(member, now_ns);
    case Part::psu_in:
    case Part::psu_out:
    case Part::psys:
      break;
  }
  return true;
}

NodeMembers::Figure NodeMembers::figure(NodeCandidate candidate, std::int64_t now_ns) const {
  Figure figure;
  std::optional<double> watts;
  bool is_measured = false;
  for (const auto& [id, member] : members_) {
    if (!counts(member, candidate, now_ns)) continue;
    const std::optional<double> part = watts_of(member);
    if (!is_fresh(member, now_ns) || !part) {
      figure.silent = &member;
      continue;
    }
    watts = candidate == NodeCandidate::meter ? std::max(watts.value_or(0), *part) : watts.value_or(0) + *part;
    if (member.part == Part::modelled_package) figure.modelled_watts += *part;
    is_measured = is_measured || member.part != Part::modelled_package;
  }
  figure.is_modelled = watts && !is_measured;
  if (figure.silent == nullptr) figure.watts = watts;
  return figure;
}

double NodeMembers::measured_parts(std::int64_t now_ns) const {
  double watts = 0;
  for (const auto& [id, member] : members_) {
    const bool is_part = member.part == Part::package || member.part == Part::dram || member.part == Part::gpu;
    if (is_part && is_known(member, now_ns)) watts += *watts_of(member);
  }
  return watts;
}

std::optional<NodeMembers::Supply> NodeMembers::worst_supply(std::int64_t now_ns) const {
  std::map<std::string_view, Supply> supplies;
  for (const auto& [id, member] : members_) {
    if (!is_known(member, now_ns)) continue;
    if (member.part == Part::psu_in) supplies[member.place].in += *member.watts;
    if (member.part == Part::psu_out) supplies[member.place].out += *member.watts;
  }
  std::optional<Supply> worst;
  for (auto& [chip, supply] : supplies) {
    const double missing = supply.out - supply.in;
    if (missing <= (worst ? worst->out - worst->in : 0)) continue;
    if (find(Part::psu_in, chip) == nullptr) continue;  // only its output is read
    worst = supply;
    worst->chip = chip;
  }
  return worst;
}

}  // namespace perjoule
