#include "daemon/efficiency/node_state_row.hpp"

#include <algorithm>
#include <array>

#include "daemon/efficiency/metrics.hpp"
#include "daemon/efficiency/node_power.hpp"

namespace perjoule {

namespace {

constexpr std::int64_t wait_max_ns = 60'000'000'000;  // for the first GPU

constexpr std::array<std::pair<Occupancy, std::string_view>, 3> states = {
    {{Occupancy::active, "active"}, {Occupancy::held, "held_idle"}, {Occupancy::free, "free"}}};

}  // namespace

std::span<const Metric* const> NodeStateRow::inputs() const {
  static constexpr std::array<const Metric*, 1> metrics = {&node_energy};
  return metrics;
}

std::span<const Metric* const> NodeStateRow::outputs() const {
  static constexpr std::array<const Metric*, 1> metrics = {&node_state_energy};
  return metrics;
}

void NodeStateRow::observe(const Observation& observation) {
  pending_uj_ += observation.booked;
  is_booked_ = true;
}

void NodeStateRow::derive(const Stamp& stamp, Derivation& derivation) {
  if (!std::exchange(is_booked_, false)) return;
  if (pending_since_ns_ == 0) pending_since_ns_ = stamp.steady_ns;
  if (occupancy_->gpus.empty()) {
    // Without GPUs there are no states; what was used until then is in none.
    if (stamp.steady_ns - pending_since_ns_ > wait_max_ns) pending_uj_ = 0;
    return;
  }
  Occupancy most = Occupancy::free;
  for (const auto& [uuid, gpu] : occupancy_->gpus)
    most = std::max(most, gpu.occupancy);
  for (const auto& [occupancy, name] : states)
    derivation.book(node_state_energy, {name}, occupancy == most ? pending_uj_ : 0);
  pending_uj_ = 0;
  pending_since_ns_ = stamp.steady_ns;
}

}  // namespace perjoule
