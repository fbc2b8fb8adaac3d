#include "daemon/sampling/sources.hpp"

#include <algorithm>
#include <initializer_list>
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
  shown_[&found->second].board = find_gpu_ ? find_gpu_(source, device) : GpuLabels();
  return found->second;
}

const Sources::Ids& Sources::ids(const SourceStatus& status) {
  SeriesTable& series = recorder_.series();
  auto& [board, ids] = shown_.at(&status);
  if (std::all_of(ids.begin(), ids.end(), [&](const auto& id) { return id && series.contains(*id); })) return ids;
  const std::string values = label_values({status.source, status.device, board.gpu, board.uuid});
  for (std::size_t i = 0; i < source_states.size(); ++i)
    ids[i] = series.identify(source_state, values + label_values({name(source_states[i])}));
  std::size_t at = source_states.size();
  for (const Metric* metric : std::initializer_list<const Metric*>{&collector_last_success, &collector_duration,
                                                                   &collector_faults, &collector_missed_ticks})
    ids[at++] = series.identify(*metric, values);
  return ids;
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
  const auto found = list_.find(key);
  if (found == list_.end()) return;
  std::vector<SeriesId> shown;
  for (const std::optional<SeriesId>& id : ids(found->second)) {
    if (id) shown.push_back(*id);
  }
  recorder_.hide_own(shown);
  shown_.erase(&found->second);
  list_.erase(found);
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
  const Ids& ids = this->ids(status);
  std::array<Sample, source_states.size() + 4> samples{};
  std::size_t count = 0;
  const auto add = [&](const std::optional<SeriesId>& id, double value) {
    if (id) samples[count++] = {*id, value};
  };
  for (std::size_t i = 0; status.state && i < source_states.size(); ++i)
    add(ids[i], status.state == source_states[i] ? 1 : 0);
  constexpr std::size_t others = source_states.size();
  if (status.last_success_seconds > 0) add(ids[others], status.last_success_seconds);
  if (status.duration_seconds) add(ids[others + 1], *status.duration_seconds);
  add(ids[others + 2], static_cast<double>(status.faults));
  add(ids[others + 3], static_cast<double>(status.missed));
  recorder_.show_own(std::span(samples).first(count), stamp);
}

bool Sources::settled(std::uint64_t calls) const {
  return std::all_of(list_.begin(), list_.end(), [calls](const auto& item) {
    const SourceStatus& status = item.second;
    if (!status.state) return false;
    return calls <= 1 || status.state != SourceState::ok || status.samples + status.timeouts >= calls;
  });
}

}  // namespace perjoule
