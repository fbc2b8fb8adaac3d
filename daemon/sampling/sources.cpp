#include "daemon/sampling/sources.hpp"

#include <algorithm>
#include <initializer_list>
#include <set>
#include <utility>

#include "daemon/record/metrics.hpp"

namespace perjoule {

namespace {
constexpr std::size_t items_max = 64;  // that a batch names
}

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
  auto& [board, ids, has_items] = shown_.at(&status);
  if (std::all_of(ids.begin(), ids.end(), [&](const auto& id) { return id && series.contains(*id); })) return ids;
  const std::string values = label_values({status.source, status.device, board.gpu, board.uuid});
  for (std::size_t i = 0; i < source_states.size(); ++i)
    ids[i] = series.identify(source_state, values + label_values({name(source_states[i])}));
  std::size_t at = source_states.size();
  for (const Metric* metric : std::initializer_list<const Metric*>{&collector_last_success, &collector_duration,
                                                                   &collector_faults, &collector_missed_ticks})
    ids[at++] = series.identify(*metric, values);
  for (const ItemState state : item_states)
    ids[at++] = series.identify(source_items, values + label_values({name(state)}));
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
  of.items = call.items;
  if (call.items) note_items(of, call.without_value);
  change(of, call.state, call.what, call.remedy, stamp);
}

// An item that is not in the list any more has a value again, unless the list is as long as it may be.
void Sources::note_items(SourceStatus& status, std::vector<SourceItem> without_value) {
  std::vector<SourceItem> before = std::exchange(status.without_value, std::move(without_value));
  if (!on_items_ || (before.empty() && status.without_value.empty())) return;
  std::map<std::string_view, ItemState> was;
  for (const SourceItem& item : before)
    was.emplace(item.name, item.state);
  std::vector<SourceItem> changed;
  std::set<std::string_view> named;  // several readings of a device may share a name: the first counts
  for (const SourceItem& item : status.without_value) {
    if (!named.insert(item.name).second) continue;
    const auto found = was.find(item.name);
    if (found == was.end() || found->second != item.state) changed.push_back(item);
  }
  for (const auto& [item, state] : was) {
    if (!named.contains(item) && status.without_value.size() < items_max)
      changed.push_back({std::string(item), ItemState::ok, {}, {}});
  }
  if (!changed.empty()) on_items_(status, changed);
}

void Sources::timed_out(std::string_view source, std::string_view device, std::string_view what, const Stamp& stamp) {
  SourceStatus& of = status(source, device);
  ++of.timeouts;
  of.lost = false;
  of.items.reset();
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
  std::array<Sample, std::tuple_size_v<Ids>> samples{};
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
  constexpr std::size_t items = others + 4;
  for (std::size_t i = 0; status.items && i < item_states.size(); ++i)
    add(ids[items + i], (*status.items)[i]);
  recorder_.show_own(std::span(samples).first(count), stamp);
  bool& has_items = shown_.at(&status).has_items;
  if (std::exchange(has_items, status.items.has_value()) && !has_items) {
    std::vector<SeriesId> gone;
    for (std::size_t i = items; i < ids.size(); ++i) {
      if (ids[i]) gone.push_back(*ids[i]);
    }
    recorder_.hide_own(gone);
  }
}

bool Sources::settled(std::uint64_t calls) const {
  return std::all_of(list_.begin(), list_.end(), [calls](const auto& item) {
    const SourceStatus& status = item.second;
    if (!status.state) return false;
    return calls <= 1 || status.state != SourceState::ok || status.samples + status.timeouts >= calls;
  });
}

}  // namespace perjoule
