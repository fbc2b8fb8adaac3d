// One simulated hour of a host, from a seed: devices with known true energy, faults, hangs, clock steps, a disk that
// fails, kills and reboots.
//
// The daemon's real sampler, recorder, ledger and sources run on virtual time; only clock, lanes, disk and hardware are
// simulated. `violations` lists the broken invariants, each with its virtual time.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace perjoule::simulation {

struct Counts {
  std::uint64_t ticks = 0, timeouts = 0, missed = 0;
  std::uint64_t hangs = 0, faults = 0, absences = 0, breaks = 0, wraps = 0, resets = 0, refused = 0, steps_forward = 0,
                steps_back = 0, stalls = 0, disk_failures = 0, kills = 0, reboots = 0;
};

struct Outcome {
  Counts counts;
  std::vector<std::string> violations;
};

[[nodiscard]] Outcome simulate(std::uint64_t seed, std::int64_t seconds);

// How often each event occurred, by name; every seed must have each event at least once.
[[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> occurrences(const Counts& counts);

}  // namespace perjoule::simulation
