#include "daemon/alerts/notify/outbox.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <tuple>

namespace perjoule::alerts {

namespace {

constexpr std::int64_t repeat_ns = 60'000'000'000;        // between two repetitions to an Alertmanager
constexpr std::int64_t repeat_resolved_ms = 15 * 60'000;  // how long a resolution is repeated; Prometheus does too
constexpr std::size_t states_max = 64;                    // alerts per POST, as in Prometheus
constexpr std::string_view prefix = "outbox/";

bool is_resolved(const Incident& incident) {
  return incident.alert.phase == Phase::resolved;
}

Delivery newest(const Incident& incident) {
  return is_resolved(incident) ? Delivery::resolved : Delivery::firing;
}

// Steady time until which the resolution of `alert` is repeated.
std::int64_t until_ns(const Alert& alert, const Stamp& now) {
  const std::int64_t passed_ms = std::clamp<std::int64_t>(now.wall_ms - alert.ends_ms, 0, repeat_resolved_ms);
  return now.steady_ns + (repeat_resolved_ms - passed_ms) * 1'000'000;
}

std::int64_t due_of(ReceiverKind kind, const Incident& incident, const DeliveryState& delivery) {
  if (delivery.sent != newest(incident)) return 0;
  return kind == ReceiverKind::alertmanager ? delivery.due_ns : Outbox::never;
}

std::string key_of(IncidentId id) {
  return fmt::format("{}{:016}", prefix, id);
}

IncidentId id_of(std::string_view key) {
  IncidentId id = 0;
  if (!key.starts_with(prefix)) return 0;
  const auto [end, error] = std::from_chars(key.data() + prefix.size(), key.data() + key.size(), id);
  return error == std::errc() && end == key.data() + key.size() ? id : 0;
}

}  // namespace

Outbox::Outbox(Save save, std::size_t incidents_max) : save_(std::move(save)), incidents_max_(incidents_max) {}

std::size_t Outbox::restore(std::span<const std::pair<std::string, std::string>> kept, const Stamp& now) {
  std::size_t forgotten = 0;
  for (const auto& [key, text] : kept) {
    std::optional<Incident> incident = incident_from(text);
    const IncidentId id = id_of(key);
    if (!incident || id == 0 || incidents_.size() >= incidents_max_) {
      save_(key, "");
      ++forgotten;
      continue;
    }
    if (is_resolved(*incident)) incident->until_ns = until_ns(incident->alert, now);
    last_ = std::max(last_, id);
    incidents_.insert_or_assign(id, std::move(*incident));
  }
  return forgotten;
}

void Outbox::set_receivers(std::map<ReceiverKey, ReceiverKind> receivers) {
  receivers_ = std::move(receivers);
  for (auto at = incidents_.begin(); at != incidents_.end();) {
    const auto here = at++;
    auto& deliveries = here->second.deliveries;
    std::erase_if(deliveries, [this](const auto& of) { return !receivers_.contains(of.first); });
    if (!is_resolved(here->second)) {
      for (const auto& [receiver, kind] : receivers_)
        deliveries.try_emplace(receiver);
    }
    keep(here);
  }
}

bool Outbox::notify(const Alert& alert, const Labels& external, const Stamp& now) {
  const auto at = open_incident(alert);
  if (alert.phase == Phase::firing && at == incidents_.end()) return begin(alert, external);
  if (alert.phase != Phase::resolved || at == incidents_.end()) return false;
  end(at, alert, now);
  return true;
}

bool Outbox::reconcile(std::span<const Alert> firing, const Labels& external, const Reason& reason, const Stamp& now) {
  const auto identity = [](const Alert& alert) { return std::tie(alert.name, alert.severity, alert.labels); };
  std::set<decltype(identity(firing.front()))> wanted;
  for (const Alert& alert : firing)
    wanted.insert(identity(alert));
  bool changed = false;
  for (auto at = incidents_.begin(); at != incidents_.end();) {
    const auto here = at++;
    if (is_resolved(here->second)) continue;
    if (wanted.erase(identity(here->second.alert)) > 0) continue;
    Alert ended = here->second.alert;
    ended.ends_ms = now.wall_ms;
    ended.reason = reason(ended);
    end(here, ended, now);
    changed = true;
  }
  for (const Alert& alert : firing) {
    if (wanted.contains(identity(alert))) changed = begin(alert, external) || changed;
  }
  return changed;
}

std::vector<Outbox::Item> Outbox::next(const ReceiverKey& receiver, const Stamp& now) const {
  std::vector<Item> items;
  const auto found = receivers_.find(receiver);
  if (found == receivers_.end()) return items;
  for (const auto& [id, incident] : incidents_) {
    const auto delivery = incident.deliveries.find(receiver);
    if (delivery == incident.deliveries.end()) continue;
    if (due_of(found->second, incident, delivery->second) > now.steady_ns) continue;
    if (found->second == ReceiverKind::webhook) {
      items.push_back({id, delivery->second.sent == Delivery::nothing ? Delivery::firing : Delivery::resolved});
      return items;
    }
    items.push_back({id, newest(incident)});
    if (items.size() == states_max) break;
  }
  return items;
}

std::int64_t Outbox::due_ns(const ReceiverKey& receiver) const {
  std::int64_t due = never;
  const auto found = receivers_.find(receiver);
  if (found == receivers_.end()) return due;
  for (const auto& [id, incident] : incidents_) {
    const auto delivery = incident.deliveries.find(receiver);
    if (delivery != incident.deliveries.end()) due = std::min(due, due_of(found->second, incident, delivery->second));
  }
  return due;
}

const Incident* Outbox::find(IncidentId id) const {
  const auto found = incidents_.find(id);
  return found == incidents_.end() ? nullptr : &found->second;
}

void Outbox::delivered(const ReceiverKey& receiver, std::span<const Item> items, const Stamp& now) {
  const auto found = receivers_.find(receiver);
  if (found == receivers_.end()) return;
  for (const Item& item : items) {
    const auto at = incidents_.find(item.id);
    if (at == incidents_.end()) continue;
    Incident& incident = at->second;
    const auto delivery = incident.deliveries.find(receiver);
    if (delivery == incident.deliveries.end()) continue;
    const bool is_new = delivery->second.sent != item.sent;
    delivery->second = {item.sent, now.steady_ns + repeat_ns};
    const bool repeated = found->second == ReceiverKind::alertmanager && now.steady_ns + repeat_ns < incident.until_ns;
    const bool over = item.sent == Delivery::resolved && !repeated;
    if (over) incident.deliveries.erase(delivery);
    if (is_new || over) keep(at);
  }
}

void Outbox::refused(const ReceiverKey& receiver, std::span<const Item> items, const Stamp& now) {
  dropped_[receiver] += items.size();
  delivered(receiver, items, now);
}

std::uint64_t Outbox::dropped(const ReceiverKey& receiver) const {
  const auto found = dropped_.find(receiver);
  return found == dropped_.end() ? 0 : found->second;
}

std::size_t Outbox::pending(const ReceiverKey& receiver) const {
  return static_cast<std::size_t>(std::count_if(incidents_.begin(), incidents_.end(), [&](const auto& of) {
    const auto delivery = of.second.deliveries.find(receiver);
    return delivery != of.second.deliveries.end() && delivery->second.sent != newest(of.second);
  }));
}

Outbox::Incidents::iterator Outbox::open_incident(const Alert& alert) {
  return std::find_if(incidents_.begin(), incidents_.end(),
                      [&](const auto& of) { return !is_resolved(of.second) && same(of.second.alert, alert); });
}

bool Outbox::begin(const Alert& alert, const Labels& external) {
  // An Alertmanager keeps one alert per label set, so it does not need earlier incidents with the same labels.
  for (auto at = incidents_.begin(); at != incidents_.end();) {
    const auto here = at++;
    if (!same(here->second.alert, alert) || here->second.external != external) continue;
    const auto erased = std::erase_if(here->second.deliveries, [this](const auto& of) {
      const auto receiver = receivers_.find(of.first);
      return receiver != receivers_.end() && receiver->second == ReceiverKind::alertmanager;
    });
    if (erased > 0) keep(here);
  }
  if (!make_room()) return false;
  Incident incident{alert, external, {}, 0};
  for (const auto& [receiver, kind] : receivers_)
    incident.deliveries.try_emplace(receiver);
  const auto at = incidents_.emplace(++last_, std::move(incident)).first;
  keep(at);
  return true;
}

bool Outbox::make_room() {
  if (incidents_.size() < incidents_max_) return true;
  const auto oldest =
      std::find_if(incidents_.begin(), incidents_.end(), [](const auto& of) { return is_resolved(of.second); });
  if (oldest == incidents_.end()) {
    for (const auto& [receiver, kind] : receivers_)
      ++dropped_[receiver];
    return false;
  }
  for (const auto& [receiver, delivery] : oldest->second.deliveries) {
    if (delivery.sent != Delivery::resolved) ++dropped_[receiver];
  }
  oldest->second.deliveries.clear();
  keep(oldest);
  return true;
}

void Outbox::end(Incidents::iterator at, const Alert& alert, const Stamp& now) {
  Alert& kept = at->second.alert;
  kept.phase = Phase::resolved;
  kept.ends_ms = alert.ends_ms;
  kept.reason = alert.reason;
  kept.value = alert.value;
  if (!alert.summary.empty()) kept.summary = alert.summary;
  at->second.until_ns = until_ns(kept, now);
  keep(at);
}

void Outbox::keep(Incidents::iterator at) {
  if (is_resolved(at->second) && at->second.deliveries.empty()) {
    save_(key_of(at->first), "");
    incidents_.erase(at);
  } else {
    save_(key_of(at->first), to_text(at->second));
  }
}

}  // namespace perjoule::alerts
