// Operations that fail under a store that plays a script (tests/unit/storage/history/script.hpp), and under the real
// writer.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/unit/storage/history/script.hpp"

namespace perjoule::storage {

enum class Outage : std::uint8_t {
  single,   // that operation alone
  lasting,  // all from it on, until the store's user has tried for a while
  random,   // one in 25 from the start; the number is the seed
};
[[nodiscard]] const char* name(Outage outage);

struct DiskFaults {
  std::map<std::string, int> runs;  // by what failed first: "sync wal"
  std::uint64_t failed = 0;         // operations
  std::uint64_t retries = 0;
  std::uint64_t reopened = 0;
  std::uint64_t without = 0;  // runs in which nothing failed: a full disk lets the operation through
  std::vector<std::string> problems;
};

// One run of the script. Adds to `out`.
void play_with_fault(const Script& script, std::uint64_t number, Outage outage, fakes::DiskFault fault,
                     DiskFaults& out);

// The same ticks through Writer, with its thread, a ledger beside the history, and a commit for each frame.
void write_with_fault(const Script& script, std::uint64_t number, Outage outage, fakes::DiskFault fault,
                      DiskFaults& out);
// How many operations that takes without a fault.
[[nodiscard]] std::uint64_t operations_of_writer(const Script& script);

}  // namespace perjoule::storage
