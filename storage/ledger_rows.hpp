// The rows of ledger.db as values: what the daemon's ledger hands to the writer and gets back at the start.
//
// Totals are integers in millionths of the metric's unit (microjoules, microseconds). Keys are exposition identities
// (`name{label="value"}`) for totals and device identities for meters, never an index that can move.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace perjoule::storage {

struct TotalRow {
  std::string key;
  std::int64_t millionths = 0;
};

struct MeterRow {
  std::string key;             // the total's key: one meter per total
  std::string boot_id;         // /proc/sys/kernel/random/boot_id when it was read
  std::uint64_t raw = 0;       // last raw value; 0 for an integrated source
  std::int64_t steady_ns = 0;  // CLOCK_BOOTTIME of that read
  std::int64_t wall_ms = 0;
  std::int64_t power_microwatts = 0;  // last power of an integrated source
};

// A small state that its owner reads back after a restart: a slot of the inventory, a firing alert, a learnt floor. The
// owner draws the format of its text, and begins the key with its own word ("inventory/", "alert/").
struct StateRow {
  std::string key;
  std::string text;  // "": forgotten
};

struct LedgerRows {
  std::vector<TotalRow> totals = {};
  std::vector<MeterRow> meters = {};
  std::vector<StateRow> states = {};
};

}  // namespace perjoule::storage
