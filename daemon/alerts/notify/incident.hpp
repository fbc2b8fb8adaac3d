// An incident: one alert from its firing to its resolution, and what each receiver has been told of it. Pure; any
// thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/alerts/alert.hpp"

namespace perjoule::alerts {

// A receiver's kind and URL as a fingerprint: URLs may hold secrets and are not written to the ledger.
using ReceiverKey = std::string;

enum class Delivery : std::uint8_t { nothing, firing, resolved };

struct DeliveryState {
  Delivery sent = Delivery::nothing;
  std::int64_t due_ns = 0;  // steady clock: an Alertmanager is told again then; not kept over a restart
};

struct Incident {
  Alert alert;      // firing or resolved
  Labels external;  // as they were when it began to fire, so that its identity stays
  // Receivers that are still to be told something. One that was configured after the end is not among them.
  std::map<ReceiverKey, DeliveryState> deliveries;
  std::int64_t until_ns = 0;  // steady clock; resolved: Alertmanagers are told again until then
};

// One line of JSON, and back. None: not written by to_text().
[[nodiscard]] std::string to_text(const Incident& incident);
[[nodiscard]] std::optional<Incident> incident_from(std::string_view text);

}  // namespace perjoule::alerts
