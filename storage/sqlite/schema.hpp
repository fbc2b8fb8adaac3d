// The tables of the two files, as numbered migrations. PRAGMA user_version is the number of applied migrations; PRAGMA
// application_id marks the file as ours. Never edit a released migration: append a new one. Constants only; any thread.
//
// ledger.db, version 2: small, committed each second, never expired (storage/ledger_rows.hpp)
//   total   key          exposition identity, name{label="value"}
//           millionths   the total in millionths of the metric's unit; never falls
//   meter   key          the total that this meter feeds; the other columns are its last reading:
//           boot_id raw steady_ns wall_ms power_microwatts
//   state   key text     since version 2: small states of the daemon, such as alerts and inventory; the prefix of the
//                        key names the owner, which defines the text
//   meta    name value   not used
//
// history.db, version 2
//   series  id metric labels unit kind   unit: suffix of the metric's name ("watts"); kind: 0 gauge, 1 counter
//           last_slot    NULL while a grp has the series; afterwards its roll_1h rows all begin before this slot
//   grp     id source device period_ms   one row per membership of a group, id < 2^24
//           members      series ids in column order, as differences (storage/history/identities.hpp); never changes
//           closed_seq   NULL while in use; otherwise another grp has replaced this one
//           first_slot sealed   its sealed slots are in [first_slot, sealed). Chunks have their samples; what tail rows
//                               still have of them is ignored
//           bundle       the bundle whose tail rows have its frames (storage/history/slot.hpp); 0: a version 1 grp
//   tail    id           bundle * 2^32 + n; bundle 0: rows of version 1, which have frames of any group. A row is
//                        overwritten in place once everything in it is sealed
//           number       ascending in the order of writing; a commit writes one row per bundle
//           first_ms last_ms   smallest and largest timestamp in the row
//           d            storage/codec/frame.hpp
//   chunk   k            slot * 2^24 + grp.id; a slot is 15 minutes, counted from the epoch (storage/history/slot.hpp)
//           samples      number of samples in it
//           d            storage/codec/chunk.hpp
//   roll_1m k            as in chunk
//           d            storage/codec/rollup_block.hpp
//   roll_1h start_s      start of the hour, seconds since the epoch
//           series min max mean last count seconds increase   storage/codec/rollup.hpp; plain rows, for SQL by hand:
//             SELECT datetime(start_s, 'unixepoch'), labels, mean FROM roll_1h JOIN series ON id = series
//             WHERE metric = 'perjoule_gpu_power_watts'
//   meta    name value   clock_believed_ms, clock_step_ms, clock_newest_ms: storage/history/believed_clock.hpp
//
// Sealing inserts into chunk, roll_1m and roll_1h and advances grp.sealed in one transaction.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace perjoule::storage {

struct Format {
  std::string_view what;  // "ledger" or "history", for messages
  std::int32_t application_id = 0;
  std::span<const std::string_view> migrations;
  std::int64_t wal_pages = 1000;  // wal_autocheckpoint: pages in the WAL at which SQLite checkpoints
};

extern const Format ledger_format;
extern const Format history_format;

}  // namespace perjoule::storage
