// An incident: one alert from its firing to its resolution, with what has been sent to each receiver. Stored in the
// ledger as a state, so that undelivered alerts are sent after a restart. Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/alerts/alert.hpp"

namespace perjoule::alerts {

// A fingerprint of a receiver's kind and URL. The URL itself is not written to the ledger, because it may hold a
// secret.
using ReceiverKey = std::string;

enum class Delivery : std::uint8_t { nothing, firing, resolved };  // the last state that the receiver accepted

struct DeliveryState {
  Delivery sent = Delivery::nothing;
  std::int64_t due_ns = 0;  // steady clock: time of the next repetition to an Alertmanager; not stored
};

struct Incident {
  Alert alert;      // firing or resolved
  Labels external;  // those at the start of firing, so that the identity stays the same after a reload
  // The receivers to which something may still have to be sent. A receiver that was configured after the end of the
  // incident is not among them.
  std::map<ReceiverKey, DeliveryState> deliveries;
  std::int64_t until_ns = 0;  // steady clock: the resolution is repeated to Alertmanagers until then; not stored
};

// One line of JSON, and back. Nothing if `text` was not written by to_text().
[[nodiscard]] std::string to_text(const Incident& incident);
[[nodiscard]] std::optional<Incident> incident_from(std::string_view text);

}  // namespace perjoule::alerts
