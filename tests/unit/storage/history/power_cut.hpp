// Power cuts while a store plays a script (tests/unit/storage/history/script.hpp). Cuts are chosen by phase. Each is
// examined with several outcomes for the unsynced changes: none of them survives, the first part, or random ones.
//
// For each outcome the store must open, nothing acknowledged may be missing, nothing may be there that was never
// written, and the recovery must survive a second cut. The unit test makes some tens of cuts, tests/soak/power_cut
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
  int cut_again = 0;       // cuts that were followed by a second one during recovery
  std::vector<std::string> problems;
};

// Makes `count` cuts on the script of this shape, in each of its phases in turn. Adds to `out`; if `problems` stays
// empty, every disk was good.
void cut_power(const Shape& shape, int count, PowerCuts& out);

}  // namespace perjoule::storage
