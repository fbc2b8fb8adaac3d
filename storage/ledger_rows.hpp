// The rows of ledger.db as plain values. The daemon's ledger passes them to the writer and reads them back at start.
// Any thread.
//
// Totals are integers in millionths of the metric's unit (microjoules, microseconds), because a double is exact only to
// 2^53 microjoules, ten days at 10 kW. Keys are exposition identities (`name{label="value"}`), whose labels identify
// devices by UUID, package or similar, never by an index that can change.
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
  std::string key;             // the key of the total that it feeds: one meter per total
  std::string boot_id;         // /proc/sys/kernel/random/boot_id at that read
  std::uint64_t raw = 0;       // last raw value; 0 for an integrated source
  std::int64_t steady_ns = 0;  // CLOCK_BOOTTIME of that read
  std::int64_t wall_ms = 0;
  std::int64_t power_microwatts = 0;  // last power of an integrated source
};

// A small state that its owner reads back after a restart: an inventory slot, a firing alert, a learned idle floor. The
// owner defines the format of `text` and starts the key with its own prefix ("inventory/", "alert/").
struct StateRow {
  std::string key;
  std::string text;  // "": delete the row
};

struct LedgerRows {
  std::vector<TotalRow> totals = {};
  std::vector<MeterRow> meters = {};
  std::vector<StateRow> states = {};
  std::vector<std::string> expired = {};  // keys of totals that are deleted with their meters, before the rows above
};

}  // namespace perjoule::storage
