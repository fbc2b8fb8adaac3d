// Incidents, and what each receiver is still to be told of them. No time passes here and nothing is sent: the notifier
// asks what is due, posts it and says what became of it. Loop's thread only.
//
// A webhook is told events: each incident's firing once and its resolution once, in this order, also when both have
// passed by the time it answers. An Alertmanager is told states: what fires again each minute, what is resolved again
// until 15 minutes after its end and at least until it has taken it, and of alerts with the same labels only the
// newest.
//
// Every change of what is kept goes to `save` as a key and a text ("" forgets it). Once that is committed, a restart
// repeats no event that a webhook had acknowledged; what was acknowledged and not yet committed is told again.
//
// Bound: `incidents_max`. Beyond it the oldest resolved incident goes, and where all fire the new one is not taken;
// each receiver that had something to learn from it counts it as dropped.
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

using IncidentId = std::uint64_t;  // in the order of their firing, kept over restarts

class Outbox {
 public:
  using Save = std::function<void(const std::string& key, const std::string& text)>;
  explicit Outbox(Save save, std::size_t incidents_max = 1'000);

  // What a former run kept. Texts that are none of ours are forgotten; returns how many.
  std::size_t restore(std::span<const std::pair<std::string, std::string>> kept, const Stamp& now);
  // What is firing is told to a new receiver. One that is no longer listed is told no more.
  void set_receivers(std::map<ReceiverKey, ReceiverKind> receivers);

  // Firing: a new incident, unless this alert has one that is open. Resolved: its end. Pending is nobody's business.
  // A new incident gets `external`. True when there is something new to tell.
  bool notify(const Alert& alert, const Labels& external, const Stamp& now);
  // Makes the open incidents those of `firing`: the others end now, with `reason`.
  void reconcile(std::span<const Alert> firing, const Labels& external, const std::string& reason, const Stamp& now);

  struct Item {
    IncidentId id = 0;
    Delivery sent = Delivery::nothing;  // what the receiver knows once this is delivered: firing or resolved
  };
  // What one POST to the receiver holds: at most one event for a webhook, 64 states for an Alertmanager.
  [[nodiscard]] std::vector<Item> next(const ReceiverKey& receiver, const Stamp& now) const;
  // When next() has something, if nothing happens before: 0 for at once, or never.
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
  [[nodiscard]] std::int64_t due_ns(const ReceiverKey& receiver) const;
  // Null when it has been dropped since.
  [[nodiscard]] const Incident* find(IncidentId id) const;

  // They are not to be told again, but for an Alertmanager's repetition. What nobody is to be told any more is
  // forgotten.
  void delivered(const ReceiverKey& receiver, std::span<const Item> items, const Stamp& now);
  // The receiver will never take them: as delivered, and counted as dropped.
  void refused(const ReceiverKey& receiver, std::span<const Item> items, const Stamp& now);

  [[nodiscard]] std::uint64_t dropped(const ReceiverKey& receiver) const;
  // Incidents of which the receiver does not know the newest.
  [[nodiscard]] std::size_t pending(const ReceiverKey& receiver) const;
  [[nodiscard]] std::size_t size() const { return incidents_.size(); }

 private:
  using Incidents = std::map<IncidentId, Incident>;

  [[nodiscard]] Incidents::iterator open(const Alert& alert);
  bool begin(const Alert& alert, const Labels& external);
  bool make_room();
  void end(Incidents::iterator at, const Alert& alert, const Stamp& now);
  // Saves the incident, or forgets it when it is over and told.
  void keep(Incidents::iterator at);

  Save save_;
  std::size_t incidents_max_;
  std::map<ReceiverKey, ReceiverKind> receivers_;
  std::map<ReceiverKey, std::uint64_t> dropped_;
  Incidents incidents_;
  IncidentId last_ = 0;
};

}  // namespace perjoule::alerts
