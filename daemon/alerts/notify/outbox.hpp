// The open incidents and their delivery state per receiver. The outbox sends nothing and reads no clock: the notifier
// asks what is due, posts it and reports the result. Loop's thread only.
//
// A webhook receives events: the firing and the resolution of each incident, each once and in this order, even if the
// incident has ended before the webhook could be reached. An Alertmanager receives states: a firing alert every minute;
// a resolved alert every minute until 15 minutes after its end, and at least once; of several incidents with the same
// labels only the newest.
//
// Every change is passed to `save` as a key and a string ("" deletes the key). After a restart, an event that a webhook
// acknowledged is not sent again if that change had been committed; otherwise it is sent a second time.
//
// At most `incidents_max` incidents are kept. A new one replaces the oldest resolved one; if all are firing, the new
// one is not accepted. Each receiver for which something remained undelivered counts it as dropped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "collectors/sample.hpp"
#include "daemon/alerts/alert.hpp"
#include "daemon/alerts/notify/incident.hpp"

namespace perjoule::alerts {

enum class ReceiverKind : std::uint8_t { alertmanager, webhook };

using IncidentId = std::uint64_t;  // ascending in the order of firing, also after a restart

class Outbox {
 public:
  using Save = std::function<void(const std::string& key, const std::string& text)>;
  explicit Outbox(Save save, std::size_t incidents_max = 1'000);

  // Restores what the previous run saved. Deletes entries that cannot be read or exceed `incidents_max`, and returns
  // their number.
  std::size_t restore(std::span<const std::pair<std::string, std::string>> kept, const Stamp& now);
  // A new receiver gets every incident that is firing. A receiver that is no longer listed gets nothing more.
  void set_receivers(std::map<ReceiverKey, ReceiverKind> receivers);

  // Firing: opens an incident with the labels `external`, unless this alert has an open one. Resolved: ends the open
  // incident. Pending alerts are ignored. Returns whether there is something new to deliver.
  bool notify(const Alert& alert, const Labels& external, const Stamp& now);
  // Makes the open incidents equal to `firing`: ends the others now, with their `reason`, and opens those that are
  // missing. Returns whether there is something new to deliver.
  using Reason = std::function<std::string(const Alert& ended)>;
  bool reconcile(std::span<const Alert> firing, const Labels& external, const Reason& reason, const Stamp& now);

  struct Item {
    IncidentId id = 0;
    Delivery sent = Delivery::nothing;  // the state that this item delivers: firing or resolved
  };
  // The items of the next POST: at most one event for a webhook, at most 64 states for an Alertmanager. Empty if none
  // is due.
  [[nodiscard]] std::vector<Item> next(const ReceiverKey& receiver, const Stamp& now) const;
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
  // Steady time at which next() has items if nothing changes before: 0 for now, or `never`.
  [[nodiscard]] std::int64_t due_ns(const ReceiverKey& receiver) const;
  // Null if the incident was dropped meanwhile.
  [[nodiscard]] const Incident* find(IncidentId id) const;

  // The receiver accepted the items. They are not sent again, except as an Alertmanager's repetition. An incident that
  // is resolved and that every receiver has got is deleted.
  void delivered(const ReceiverKey& receiver, std::span<const Item> items, const Stamp& now);
  // The receiver rejected the items. As after delivered(), they are not sent again; they are counted as dropped.
  void refused(const ReceiverKey& receiver, std::span<const Item> items, const Stamp& now);

  [[nodiscard]] std::uint64_t dropped(const ReceiverKey& receiver) const;
  // Number of incidents whose newest state the receiver has not accepted.
  [[nodiscard]] std::size_t pending(const ReceiverKey& receiver) const;
  [[nodiscard]] std::size_t size() const { return incidents_.size(); }

 private:
  using Incidents = std::map<IncidentId, Incident>;

  [[nodiscard]] Incidents::iterator open_incident(const Alert& alert);
  bool begin(const Alert& alert, const Labels& external);
  bool make_room();
  void end(Incidents::iterator at, const Alert& alert, const Stamp& now);
  // Saves the incident, or deletes it if it is resolved and no receiver needs it any more.
  void keep(Incidents::iterator at);

  Save save_;
  std::size_t incidents_max_;
  std::map<ReceiverKey, ReceiverKind> receivers_;
  std::map<ReceiverKey, std::uint64_t> dropped_;
  Incidents incidents_;
  IncidentId last_ = 0;
};

}  // namespace perjoule::alerts
