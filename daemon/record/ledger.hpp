// Energy that never falls: over wraps, resets, restarts and reboots, in integer millionths (microjoules, microseconds).
//
// Loop's thread only; the writer keeps the rows (storage/ledger_rows.hpp). Rules, from knowledge of what goes wrong:
//  - a raw counter: the delta within one boot bridges any gap shorter than a wrap at the largest rate
//  (collectors/counter);
//    otherwise nothing is booked and the gap counts as unobserved seconds. Joules are never invented.
//  - integrated power: trapezoid over at most 2.5 periods; a longer gap holds the last power for at most 30 s and
//  counts
//    the rest as unobserved; over a restart of the daemon nothing is held, the whole gap is unobserved.
//  - another boot: the gap is unobserved on the wall clock, and the new raw value is only a base.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "collectors/batch.hpp"
#include "collectors/sample.hpp"
#include "storage/ledger_rows.hpp"

namespace perjoule {

enum class EntryId : std::uint32_t {};

class Ledger {
 public:
  Ledger(const storage::LedgerRows& loaded, std::string boot_id);

  struct Booking {
    std::int64_t millionths = 0;     // booked by this reading
    std::int64_t unobserved_us = 0;  // time for which nothing could be booked
    std::int64_t interval_us = 0;    // 0: the first reading, a base only
    bool reset = false;              // the raw counter restarted, or jumped beyond what the device can do
    bool refused = false;            // the power was not plausible
  };

  // The entry of a total's key; made with 0 when it is new.
  [[nodiscard]] EntryId entry(std::string_view key);
  [[nodiscard]] std::int64_t total(EntryId id) const { return entries_[static_cast<std::size_t>(id)].total; }
  void book(EntryId id, std::int64_t millionths);

  // Books a raw counter or a power reading on its entry. `period_ns` is the probe's.
  Booking meter(EntryId id, const Reading& reading, const Stamp& stamp);
  Booking integrate(EntryId id, const Reading& reading, const Stamp& stamp, std::int64_t period_ns);

  // Small states that their owners read back after a restart (storage/ledger_rows.hpp). "" forgets the key.
  void set_state(const std::string& key, std::string text);
  // The states whose key starts with `prefix`, by key.
  [[nodiscard]] std::map<std::string, std::string> states(std::string_view prefix) const;

  // What has changed since the last call. When the commit fails, `restore` makes it changed again.
  [[nodiscard]] storage::LedgerRows take_changed();
  void restore();
  // Every total's key that starts with `prefix`, sorted.
  [[nodiscard]] std::vector<std::string> keys(std::string_view prefix) const;
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string key;
    std::int64_t total = 0;
    // The meter behind the total, when there is one.
    bool metered = false;
    bool this_boot = false;
    bool this_run = false;
    std::uint64_t raw = 0;
    std::int64_t steady_ns = 0;
    std::int64_t wall_ms = 0;
    std::int64_t power_uw = 0;
    std::int64_t remainder_pj = 0;  // what an integral left below a microjoule
    bool total_changed = false;
    bool meter_changed = false;
  };
  // Interval since the entry's last reading; books it as unobserved when it lies across a boot.
  [[nodiscard]] bool open_interval(Entry& entry, const Stamp& stamp, Booking& booking) const;
  void close_interval(Entry& entry, const Stamp& stamp);
  void mark(std::size_t index);

  std::string boot_id_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string, EntryId> ids_;
  std::vector<std::size_t> changed_;
  std::vector<std::size_t> taken_;
  std::map<std::string, std::string, std::less<>> states_;
  std::set<std::string> changed_states_;
  std::set<std::string> taken_states_;
};

}  // namespace perjoule
