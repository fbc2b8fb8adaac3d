#include "daemon/efficiency/gpu_row.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "collectors/gpu/metrics.hpp"
#include "daemon/efficiency/metrics.hpp"

namespace perjoule {

namespace {

constexpr std::int64_t keep_every_ns = 300'000'000'000;
constexpr std::string_view kept_prefix = "gpu/";

}  // namespace

std::span<const Metric* const> GpuRow::inputs() const {
  static constexpr std::array<const Metric*, 7> metrics = {
      &gpu_energy, &gpu_power, &gpu_power_instant, &gpu_utilization, &gpu_processes, &gpu_clock_idle, &gpu_power_limit};
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
  const GpuState first = gpu_state_of(text.substr(0, blank)).value_or(GpuState::active);
  IdleFloor floor = IdleFloor::from(text.substr(std::min(blank + 1, text.size())));
  Gpu gpu{std::string(slot), std::string(uuid), GpuAccount(first, std::move(floor)), first};
  return gpus_.emplace(std::string(uuid), std::move(gpu)).first->second;
}

void GpuRow::observe(const Observation& observation) {
  const std::string_view uuid = label_value(observation.label_values, 1);
  const bool is_same = !touched_.empty() && touched_.back()->uuid == uuid;
  Gpu& gpu = is_same ? *touched_.back() : find(label_value(observation.label_values, 0), uuid);
  if (!std::exchange(gpu.is_touched, true)) touched_.push_back(&gpu);
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
  } else if (metric == &gpu_processes) {
    gpu.reading.processes = observation.value;
  } else if (metric == &gpu_clock_idle) {
    gpu.reading.clock_idle = observation.value > 0;
  } else if (metric == &gpu_power_limit) {
    gpu.reading.limit_watts = observation.value;
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
}

void GpuRow::derive(Gpu& gpu, const Stamp& stamp, Derivation& derivation) {
  const std::int64_t now_ns = stamp.steady_ns;
  if (gpu.reading.watts) gpu.peak.add(*gpu.reading.watts, now_ns);
  if (const auto largest = gpu.peak.largest(now_ns); largest && gpu.reading.limit_watts) {
    derivation.show(power_headroom, {gpu.uuid, "gpu_enforced", gpu.slot, gpu.uuid},
                    *gpu.reading.limit_watts - *largest);
  }
  if (!gpu.interval) return;
  if (gpu.is_counted) gpu.agreement.add(gpu.interval->booked_uj, gpu.interval->interval_us, gpu.instant_watts, now_ns);
  if (const auto ratio = gpu.agreement.ratio(now_ns)) {
    derivation.show(gpu_energy_agreement, {gpu.slot, gpu.uuid}, *ratio);
  }
  const GpuAccount::Entry entry =
      gpu.account.add(*gpu.interval, gpu.reading, now_ns, enter_after_ns_, configured_floor_);
  for (const GpuState state : gpu_states) {
    const bool is_it = state == entry.state;
    derivation.book(gpu_state_seconds, {gpu.slot, gpu.uuid, name(state)}, is_it ? entry.time_us : 0);
    derivation.book(gpu_state_energy, {gpu.slot, gpu.uuid, name(state)}, is_it ? entry.energy_uj : 0);
  }
  if (entry.floor_watts) {
    derivation.show(gpu_deep_idle_power, {gpu.slot, gpu.uuid}, *entry.floor_watts);
    derivation.show(idle_waste_power, {gpu.slot, gpu.uuid}, entry.waste_watts);
    derivation.book(idle_waste_energy, {gpu.slot, gpu.uuid}, entry.waste_uj);
  }
  keep(gpu, now_ns);
}

void GpuRow::keep(Gpu& gpu, std::int64_t now_ns) {
  const GpuState state = gpu.account.state();
  const bool is_due = now_ns - gpu.kept_ns >= keep_every_ns;
  if (state == gpu.kept_state && !is_due) return;
  std::string text(name(state));
  const std::string floor = gpu.account.floor().text();
  if (!floor.empty()) text += ' ' + floor;
  ledger_.set_state(std::string(kept_prefix) + gpu.uuid, std::move(text));
  gpu.kept_state = state;
  gpu.kept_ns = now_ns;
}

}  // namespace perjoule
