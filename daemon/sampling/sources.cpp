#include "daemon/sampling/sources.hpp"

#include <utility>

#include "daemon/record/metrics.hpp"

namespace perjoule {

std::string_view name(SourceState state) {
  switch (state) {
    case SourceState::ok:
      return "ok";
    case SourceState::absent:
      return "absent";
    case SourceState::denied:
      return "denied";
    case SourceState::error:
      return "error";
    case SourceState::stuck:
      return "stuck";
  }
  return "unknown";
}

SourceState state_of(Fault fault) {
  switch (fault) {
    case Fault::absent:
      return SourceState::absent;
    case Fault::denied:
      return SourceState::denied;
    case Fault::timeout:
      return SourceState::stuck;
    case Fault::transient:
    case Fault::broken:
      break;
  }
  return SourceState::error;
}

SourceStatus& Sources::status(std::string_view source, std::string_view device) {
  auto [found, added] = list_.try_emplace({std::string(source), std::string(device)});
  if (!added) return found->second;
  found->second.source = source;
  found->second.device = device;
  const GpuLabels board = find_gpu_ ? find_gpu_(source, device) : GpuLabels();
  const std::string values = label_values({source, device, board.gpu, board.uuid});
  Ids& ids = ids_[found->first];
  for (std::size_t i = 0; i < source_states.size(); ++i) {
    ids.states[i] =
        series_.identify(source_state, label_values({source, device, board.gpu, board.uuid, name(source_states[i])}));
  }
  ids.last_success = series_.identify(collector_last_success, values);
  ids.duration = series_.identify(collector_duration, values);
  ids.faults = series_.identify(collector_faults, values);
  ids.missed = series_.identify(collector_missed_ticks, values);
  return found->second;
}

void Sources::expect(std::string_view source, std::string_view device) {
  status(source, device);
}

void Sources::change(SourceStatus& status, SourceState state, std::string what, std::string remedy,
                     const Stamp& stamp) {
  const bool changed = status.state != state;
  SourceStatus before;
  if (changed) before = status;
  status.state = state;
  status.what = std::move(what);
  status.remedy = std::move(remedy);
  publish(status, stamp);
  if (changed && on_change_) on_change_(before, status);
}

void Sources::sampled(std::string_view source, std::string_view device, const Call& call, const Stamp& stamp) {
  SourceStatus& of = status(source, device);
  ++of.samples;
  of.faults += call.faults;
  of.duration_seconds = call.duration_seconds;
  of.lost = call.lost;
  if (call.state == SourceState::ok) of.last_success_seconds = static_cast<double>(stamp.wall_ms) / 1000;
  change(of, call.state, call.what, call.remedy, stamp);
}

void Sources::timed_out(std::string_view source, std::string_view device, std::string_view what, const Stamp& stamp) {
  SourceStatus& of = status(source, device);
  ++of.timeouts;
  of.lost = false;
  ++of.faults;
  change(of, SourceState::stuck, std::string(what), {}, stamp);
}

void Sources::missed(std::string_view source, std::string_view device, std::uint64_t ticks, const Stamp& stamp) {
  SourceStatus& of = status(source, device);
  of.missed += ticks;
  publish(of, stamp);
}

void Sources::forget(std::string_view source, std::string_view device) {
  const std::pair key{std::string(source), std::string(device)};
  const auto found = ids_.find(key);
  if (found == ids_.end()) return;
  const Ids& ids = found->second;
  for (const auto& id : ids.states) {
    if (id) latest_.remove(*id);
  }
  for (const auto& id : {ids.last_success, ids.duration, ids.faults, ids.missed}) {
    if (id) latest_.remove(*id);
  }
  ids_.erase(found);
  list_.erase(key);
}

void Sources::forget(std::string_view source) {
  std::vector<std::string> devices;
  for (const auto& [key, status] : list_) {
    if (key.first == source) devices.push_back(key.second);
  }
  for (const std::string& device : devices)
    forget(source, device);
}

void Sources::publish(const SourceStatus& status, const Stamp& stamp) {
  const Ids& ids = ids_[{status.source, status.device}];
  std::array<Sample, source_states.size() + 4> samples{};
  std::size_t count = 0;
  const auto add = [&](const std::optional<SeriesId>& id, double value) {
    if (id) samples[count++] = {*id, value};
  };
  for (std::size_t i = 0; status.state && i < source_states.size(); ++i)
    add(ids.states[i], status.state == source_states[i] ? 1 : 0);
  if (status.last_success_seconds > 0) add(ids.last_success, status.last_success_seconds);
  if (status.duration_seconds) add(ids.duration, *status.duration_seconds);
  add(ids.faults, static_cast<double>(status.faults));
  add(ids.missed, static_cast<double>(status.missed));
  latest_.set(std::span(samples).first(count), stamp.steady_ns, Latest::never_stale);
}

bool Sources::settled() const {
  for (const auto& [key, status] : list_) {
    if (!status.state) return false;
  }
  return true;
}

}  // namespace perjoule
