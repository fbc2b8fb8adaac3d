// Totals that never decrease across wraps, resets, restarts and reboots, in integer millionths of the unit
// (microjoules, microseconds), because a double holds microjoules exactly only up to 2^53. Loop's thread only; the
// writer stores the rows (storage/ledger_rows.hpp).
//
// What is booked for the time between two readings; the rest of it counts as unobserved, energy is never invented:
//
//   raw counter        the delta, if it is plausible (meter_gate.hpp) and the gap too short for a second wrap at the
//                      device's largest rate (collectors/counter.hpp); else nothing
//   integrated power   plausible readings only; gap <= 2.5 periods: the trapezoid
//                      longer gap: the last power, for at most 30 s
//                      daemon restarted in between: nothing
//   after a reboot     nothing; the unobserved time is measured on the wall clock, because the steady clock restarted
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "collectors/batch.hpp"
#include "collectors/sample.hpp"
#include "daemon/record/meter_gate.hpp"
#include "daemon/record/still_meter.hpp"
#include "storage/ledger_rows.hpp"

namespace perjoule {

enum class EntryId : std::uint32_t {};

class Ledger {
 public:
  Ledger(const storage::LedgerRows& loaded, std::string boot_id);

  struct Booking {
    std::int64_t millionths = 0;     // booked by this reading
    std::int64_t unobserved_us = 0;  // time for which nothing could be booked
    std::int64_t interval_us = 0;    // since the previous reading; 0: the first one, or the first of this boot
    bool reset = false;              // the raw counter restarted, or a step of it was refused
    bool refused = false;            // the reading is implausible, and nothing is booked for it, or not yet
    GateVerdict verdict = GateVerdict::booked;
    double rate = 0;          // of the step that was judged, units per second
    double bound = 0;         // the largest rate that is booked at once
    bool stands = false;      // the counter does not count (still_meter.hpp)
    bool integrated = false;  // and the power beside it is booked in its place
  };

  // The entry of a total's key; a new one starts at 0.
  [[nodiscard]] EntryId entry(std::string_view key);
  [[nodiscard]] const std::string& key(EntryId id) const { return entries_[static_cast<std::size_t>(id)].key; }
  [[nodiscard]] std::int64_t total(EntryId id) const { return entries_[static_cast<std::size_t>(id)].total; }
  void book(EntryId id, std::int64_t millionths);

  // Books a raw counter or a power reading on its entry. `period_ns` is the sampling period of the probe.
  Booking meter(EntryId id, const Reading& reading, const Stamp& stamp);
  Booking integrate(EntryId id, const Reading& reading, const Stamp& stamp, std::int64_t period_ns);
  // Another total has booked this energy of the same device. If this one's counter stands still, and catches up later,
  // it is deducted.
  void bridge(EntryId id, std::int64_t millionths);

  // Deletes totals of the families for which `expires` returns true: those whose meter was read last before `since_ms`
  // (wall clock), and of the others those that were read the longest ago, beyond `max`. Never one of `in_use`, whose
  // ids the caller keeps; all other ids of deleted totals are given again. Returns how many were deleted.
  using Expires = std::function<bool(std::string_view family)>;
  std::size_t expire(const Expires& expires, std::size_t max, std::int64_t since_ms,
                     const std::unordered_set<EntryId>& in_use);

  // Small states that their owners read back after a restart (storage/ledger_rows.hpp). "" deletes the key.
  void set_state(const std::string& key, std::string text);
  // The states whose key starts with `prefix`, by key.
  [[nodiscard]] std::map<std::string, std::string> states(std::string_view prefix) const;

  // The rows that changed since the last call, and the keys that expired. If their commit fails, call `restore`: the
  // next call then returns the rows again, the sink keeps the keys. One commit at a time.
  [[nodiscard]] storage::LedgerRows take_changed();
  void restore();
  // Every total's key that starts with `prefix`, sorted.
  [[nodiscard]] std::vector<std::string> keys(std::string_view prefix) const;
  // Of the meters among them, those that were read in the last minute of the last run: before the first reading of this
  // one.
  [[nodiscard]] std::vector<std::string> last_read(std::string_view prefix) const;
  [[nodiscard]] std::size_t size() const { return ids_.size(); }

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
    std::int64_t remainder_pj = 0;  // of an integral: below one microjoule, carried to the next booking
    MeterGate gate;
    std::unique_ptr<StillMeter> still;  // of counters that must not stand still
    bool total_changed = false;
    bool meter_changed = false;
    bool offered = false;  // the file may have it: it was loaded, or taken for a commit
  };
  // Sets the interval since the entry's last reading. False when nothing can be booked for it: the first reading, a
  // clock that did not advance, or a reboot in between (whose time is set as unobserved).
  [[nodiscard]] bool open_interval(Entry& entry, const Stamp& stamp, Booking& booking) const;
  void close_interval(Entry& entry, const Stamp& stamp);
  // A read without a step.
  [[nodiscard]] Booking stand(EntryId id, const Reading& reading, const Stamp& stamp, Booking booking);
  // Adds the energy up to a reading to `picojoules`, and the time without any to `booking`.
  void add_point(Entry& entry, const PowerPoint& point, std::int64_t period_ns, Booking& booking);
  void mark(std::size_t index);

  std::string boot_id_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string, EntryId> ids_;
  std::vector<EntryId> free_;         // of deleted totals
  std::vector<std::string> expired_;  // since take_changed()
  std::vector<std::size_t> changed_;
  std::vector<std::size_t> taken_;
  std::map<std::string, std::string, std::less<>> states_;
  std::set<std::string> changed_states_;
  std::set<std::string> taken_states_;
};

}  // namespace perjoule
