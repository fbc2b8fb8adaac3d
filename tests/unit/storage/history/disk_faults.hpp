// Plays a script (tests/unit/storage/history/script.hpp) on a disk whose operations fail: with the store alone, and
// with the real writer. Problems are lines of text, so that a soak can use it, too. One thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/unit/storage/history/script.hpp"

namespace perjoule::storage {

enum class Outage : std::uint8_t {
  single,   // one operation fails
  lasting,  // all from this one on fail, until the player has retried for a while
  random,   // each fails with probability 1/25 from the start; the number is the seed
};
[[nodiscard]] const char* name(Outage outage);

struct DiskFaults {
  std::map<std::string, int> runs;  // by the operation that failed first: "sync wal"
  std::uint64_t failed = 0;         // operations
  std::uint64_t retries = 0;
  std::uint64_t reopened = 0;
  std::uint64_t without = 0;  // runs without a failure: a full disk allows that operation
  std::vector<std::string> problems;
};

// Plays the script once with the store alone. Adds to `out`.
void play_with_fault(const Script& script, std::uint64_t number, Outage outage, fakes::DiskFault fault,
                     DiskFaults& out);

// The same ticks through Writer, with its thread, a ledger beside the history, and a commit for each frame.
void write_with_fault(const Script& script, std::uint64_t number, Outage outage, fakes::DiskFault fault,
                      DiskFaults& out);
// The number of disk operations of such a run without a fault.
[[nodiscard]] std::uint64_t operations_of_writer(const Script& script);

}  // namespace perjoule::storage
