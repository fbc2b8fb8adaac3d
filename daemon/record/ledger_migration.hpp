// Brings the totals of a ledger that 0.1.0 wrote to the keys of this version. 0.1.0 keyed a total by all labels of its
// series: the slot of a GPU, the role of a sensor, and names of chips that follow the order of probing. Run at each
// start: a ledger that has been migrated is left as it is.
//
//   GPU at another slot, sensor of another role     one total: the sum, because each counted its own part of the time
//   dies of AMD and Hygon, each showing the socket  one total of the socket: the largest
//   chip with another name, read in this boot       the total goes on under the new name
//   chip with another name, read before a reboot    its name may be another device's by now: the total stays in the
//                                                   ledger as it was, and the new one begins at 0
//
// Pure; any thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "storage/ledger_rows.hpp"

namespace perjoule {

struct HostNames {
  // The sensor chips of this host whose name has changed: (0.1.0's, now).
  std::vector<std::pair<std::string, std::string>> chips;
  bool dies_share_a_counter = false;  // collectors/cpu_package.hpp
};

// Changes `rows`; keys that are no longer used are added to `rows.expired`. Returns what an operator should know of the
// totals whose device may be another one, as lines for the log.
[[nodiscard]] std::vector<std::string> migrate(storage::LedgerRows& rows, const std::string& boot_id,
                                               const HostNames& host);

// The state that lists the totals of the node's meters and power supplies, one key per line; 0.1.0 had their role in
// the key.
inline constexpr std::string_view node_sensors_state = "node/sensors";

}  // namespace perjoule
