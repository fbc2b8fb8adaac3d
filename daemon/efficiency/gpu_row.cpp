#include "daemon/efficiency/gpu_row.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "collectors/gpu/idle_watts.hpp"
#include "collectors/gpu/metrics.hpp"
#include "daemon/efficiency/metrics.hpp"

namespace perjoule {

namespace {

constexpr std::int64_t keep_every_ns = 300'000'000'000;
constexpr std::int64_t gone_after_ns = 60'000'000'000;
constexpr std::string_view kept_prefix = "gpu/";
constexpr double same_limit_watts = 1;

Occupancy occupancy_of(GpuState state, const GpuReading& reading) {
  switch (state) {
    case GpuState::asleep:
    case GpuState::deep_idle:
      return Occupancy::free;
    case GpuState::parked:
      return reading.processes && *reading.processes <= 0 ? Occupancy::free : Occupancy::held;
    case GpuState::execution_idle:
    case GpuState::spinning:
      return Occupancy::held;
    case GpuState::active:
      break;
  }
  return Occupancy::active;
}

}  // namespace

std::string_view name(FloorSource source) {
  switch (source) {
    case FloorSource::configured:
      return "configured";
    case FloorSource::own:
      return "learnt";
    case FloorSource::sister:
      return "sister";
    case FloorSource::assumed:
      return "assumed";
  }
  return "unknown";
}

std::span<const Metric* const> GpuRow::inputs() const {
  static constexpr std::array<const Metric*, 10> metrics = {
      &gpu_energy,     &gpu_power,       &gpu_power_instant, &gpu_utilization,       &gpu_engine_utilization,
      &gpu_clock_idle, &gpu_power_limit, &gpu_info,          &gpu_runtime_suspended, &gpu_holding_processes};
  return metrics;
}

std::span<const Metric* const> GpuRow::outputs() const {
  static constexpr std::array<const Metric*, 7> metrics = {
      &gpu_state_seconds, &gpu_state_energy, &gpu_deep_idle_power, &gpu_energy_agreement,
      &idle_waste_energy, &idle_waste_power, &power_headroom};
  return metrics;
}

void GpuRow::configure(const config::Efficiency& settings) {
  enter_after_ns_ = std::chrono::nanoseconds(settings.idle_enter_after).count();
  configured_floor_ = settings.idle_floor_watts;
}

// The saved state is "STATE FLOOR", with the floor in the format of IdleFloor::text().
GpuRow::Gpu& GpuRow::find(std::string_view slot, std::string_view uuid) {
  const auto known = gpus_.find(uuid);
  if (known != gpus_.end()) {
    known->second.slot = slot;
    return known->second;
  }
  const std::string key = std::string(kept_prefix).append(uuid);
  const auto states = ledger_.states(key);
  const auto kept = states.find(key);
  const std::string_view text = kept == states.end() ? std::string_view() : std::string_view(kept->second);
  const std::size_t blank = std::min(text.find(' '), text.size());
  const std::optional<GpuState> first = gpu_state_of(text.substr(0, blank));
  IdleFloor floor = IdleFloor::from(text.substr(std::min(blank + 1, text.size())));
  Gpu gpu{std::string(slot), std::string(uuid), GpuAccount(first, std::move(floor)), first};
  return gpus_.emplace(std::string(uuid), std::move(gpu)).first->second;
}

void GpuRow::observe(const Observation& observation) {
  const std::string_view uuid = label_value(observation.label_values, 1);
  const bool is_same = !touched_.empty() && touched_.back()->uuid == uuid;
  Gpu& gpu = is_same ? *touched_.back() : find(label_value(observation.label_values, 0), uuid);
  if (!std::exchange(gpu.is_touched, true)) touched_.push_back(&gpu);
  note_reading(gpu, observation);
}

void GpuRow::note_reading(Gpu& gpu, const Observation& observation) {
  const Metric* const metric = observation.metric;
  if (metric == &gpu_energy) {
    gpu.interval = GpuInterval{observation.booked, observation.interval_us, observation.unobserved_us};
    gpu.is_counted = observation.origin == Origin::counter;
  } else if (metric == &gpu_power) {
    gpu.reading.watts = observation.value;
  } else if (metric == &gpu_power_instant) {
    gpu.instant_watts = observation.value;
  } else if (metric == &gpu_utilization) {
    gpu.reading.utilization = observation.value;
  } else if (metric == &gpu_engine_utilization) {
    if (label_value(observation.label_values, 2) == "memory") gpu.reading.memory_utilization = observation.value;
  } else if (metric == &gpu_holding_processes) {
    gpu.reading.processes = observation.value;
  } else if (metric == &gpu_clock_idle) {
    gpu.reading.clock_idle = observation.value > 0;
  } else if (metric == &gpu_power_limit) {
    gpu.reading.limit_watts = observation.value;
    gpu.limit_watts = observation.value;
  } else if (metric == &gpu_runtime_suspended) {
    gpu.reading.suspended = observation.value > 0;
  } else if (metric == &gpu_info) {
    const std::string_view model = label_value(observation.label_values, 2);
    if (gpu.model != model) gpu.model = model;
  }
}

void GpuRow::derive(const Stamp& stamp, Derivation& derivation) {
  for (Gpu* const gpu : touched_) {
    derive(*gpu, stamp, derivation);
    gpu->reading = {};
    gpu->instant_watts.reset();
    gpu->interval.reset();
    gpu->is_touched = false;
  }
  touched_.clear();
  std::erase_if(occupancy_->gpus,
                [&](const auto& gpu) { return stamp.steady_ns - gpu.second.steady_ns > gone_after_ns; });
}

void GpuRow::derive(Gpu& gpu, const Stamp& stamp, Derivation& derivation) {
  const std::int64_t now_ns = stamp.steady_ns;
  if (gpu.reading.watts) gpu.peak.add(*gpu.reading.watts, now_ns);
  if (const auto largest = gpu.peak.largest(now_ns); largest && gpu.reading.limit_watts) {
    derivation.show(power_headroom, {gpu.uuid, "gpu_enforced", gpu.slot, gpu.uuid},
                    *gpu.reading.limit_watts - *largest);
  }
  if (!gpu.interval && !gpu.reading.suspended) return;
  gpu.read_ns = now_ns;
  if (gpu.interval && gpu.is_counted)
    gpu.agreement.add(gpu.interval->booked_uj, gpu.interval->interval_us, gpu.instant_watts, now_ns);
  if (const auto ratio = gpu.agreement.ratio(now_ns)) {
    derivation.show(gpu_energy_agreement, {gpu.slot, gpu.uuid}, *ratio);
  }
  derive_states(gpu, now_ns, derivation);
  keep(gpu, now_ns);
}

void GpuRow::derive_states(Gpu& gpu, std::int64_t now_ns, Derivation& derivation) {
  const std::optional<Floor> floor = floor_of(gpu);
  const GpuAccount::Entry entry = gpu.interval ? gpu.account.add(*gpu.interval, gpu.reading, now_ns, enter_after_ns_,
                                                                 floor ? std::optional(floor->watts) : std::nullopt)
                                               : gpu.account.suspended(now_ns);
  for (const GpuState state : gpu_states) {
    if (entry.state) {
      const bool is_it = state == *entry.state;
      derivation.book(gpu_state_seconds, {gpu.slot, gpu.uuid, name(state)}, is_it ? entry.time_us : 0);
      derivation.book(gpu_state_energy, {gpu.slot, gpu.uuid, name(state)}, is_it ? entry.energy_uj : 0);
    } else if (gpu.states_shown) {
      derivation.remove(gpu_state_seconds, {gpu.slot, gpu.uuid, name(state)});
      derivation.remove(gpu_state_energy, {gpu.slot, gpu.uuid, name(state)});
    }
  }
  gpu.states_shown = entry.state.has_value();
  if (entry.state) {
    occupancy_->gpus[gpu.uuid] = {occupancy_of(*entry.state, gpu.reading), now_ns};
  } else {
    occupancy_->gpus.erase(gpu.uuid);
  }
  show_floor(gpu, floor, derivation);
  if (!floor || !entry.state) return;
  derivation.show(idle_waste_power, {gpu.slot, gpu.uuid}, entry.waste_watts);
  derivation.book(idle_waste_energy, {gpu.slot, gpu.uuid}, entry.waste_uj);
}

std::optional<GpuRow::Floor> GpuRow::floor_of(const Gpu& gpu) const {
  if (configured_floor_) return Floor{*configured_floor_, FloorSource::configured};
  if (const auto watts = gpu.account.floor().watts()) return Floor{*watts, FloorSource::own};
  // The lowest, because a sister in a warmer place idles higher.
  std::optional<double> lowest;
  for (const auto& [uuid, sister] : gpus_) {
    if (gpu.model.empty() || sister.model != gpu.model || !sister.limit_watts || !gpu.limit_watts) continue;
    if (std::abs(*sister.limit_watts - *gpu.limit_watts) > same_limit_watts) continue;
    const auto watts = sister.account.floor().watts();
    if (watts) lowest = std::min(lowest.value_or(*watts), *watts);
  }
  if (lowest) return Floor{*lowest, FloorSource::sister};
  if (const auto watts = assumed_idle_watts(gpu.model)) return Floor{*watts, FloorSource::assumed};
  return std::nullopt;
}

void GpuRow::show_floor(Gpu& gpu, const std::optional<Floor>& floor, Derivation& derivation) {
  const std::optional<FloorSource> source = floor ? std::optional(floor->source) : std::nullopt;
  if (gpu.floor_shown && gpu.floor_shown != source)
    derivation.remove(gpu_deep_idle_power, {gpu.slot, gpu.uuid, name(*gpu.floor_shown)});
  gpu.floor_shown = source;
  if (floor) derivation.show(gpu_deep_idle_power, {gpu.slot, gpu.uuid, name(floor->source)}, floor->watts);
}

std::string GpuRow::note(std::int64_t now_ns) const {
  std::set<std::string> models;
  std::size_t count = 0;
  for (const auto& [uuid, gpu] : gpus_) {
    if (gpu.floor_shown || gpu.model.empty() || now_ns - gpu.read_ns > gone_after_ns) continue;
    models.insert(gpu.model);
    ++count;
  }
  if (count == 0) return "";
  return fmt::format(
      "idle floor unknown: {} GPU{} ({}): idle waste is not counted until 5 min of deep idle were seen or "
      "efficiency.idle.floor is set",
      count, count == 1 ? "" : "s", fmt::join(models, ", "));
}

void GpuRow::keep(Gpu& gpu, std::int64_t now_ns) {
  const std::optional<GpuState> state = gpu.account.state();
  const bool is_due = now_ns - gpu.kept_ns >= keep_every_ns;
  if (state == gpu.kept_state && !is_due) return;
  std::string text(state ? name(*state) : "undecided");
  const std::string floor = gpu.account.floor().text();
  if (!floor.empty()) text += ' ' + floor;
  ledger_.set_state(std::string(kept_prefix) + gpu.uuid, std::move(text));
  gpu.kept_state = state;
  gpu.kept_ns = now_ns;
}

}  // namespace perjoule
