// Power cuts under a store that plays a script (tests/unit/storage/history/script.hpp): chosen by phase, each looked at
// under several fates of what had not been synced: none of it kept, the first part,
// or half of its blocks.
//
// What must hold for each disk: it opens, nothing acknowledged is missing, nothing is there that was never written, and
// the recovery survives a second cut. Used by the unit test for some tens of cuts and by tests/soak/power_cut for
// hundreds. Blocks; one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/unit/storage/history/script.hpp"

namespace perjoule::storage {

struct PowerCuts {
  std::map<Phase, int> cuts;
  int examined = 0;        // disks that were opened after a cut
  int without_loss = 0;    // cuts at which nothing was unsynced
  int unacknowledged = 0;  // cuts within an append
  int cut_again = 0;       // cuts that were followed by one in the recovery
  std::vector<std::string> problems;
};

// `count` cuts on the script of this shape, by turns in each phase that it has. Adds to `out`, where an empty
// `problems` means that every disk was sound.
void cut_power(const Shape& shape, int count, PowerCuts& out);

}  // namespace perjoule::storage
