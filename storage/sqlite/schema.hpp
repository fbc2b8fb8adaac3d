// What stands in the two files, as numbered migrations. PRAGMA user_version is the number of migrations that were
// applied; PRAGMA application_id says that the file is ours. A migration that was released is never edited: add one
// behind it.
//
// ledger.db, version 1: small, committed each second, never expired
//   total   key         exposition identity, name{label="value"}
//           millionths  total in millionths of the metric's unit; it never falls
//   meter   key         the total that this meter feeds; the other columns are its last read (storage/ledger_rows.hpp)
//   meta    name value
//
// history.db, version 2
//   series  id metric labels unit kind   unit: the suffix of the name ("watts"); kind: 0 gauge, 1 counter
//           last_slot   up to which roll_1h may hold rows of a series that no grp has any more; else NULL
//   grp     id source device period_ms   one row per membership, id < 2^24
//           members     series ids in column order, differences as varints (storage/codec/varint.hpp); never changes
//           closed_seq  NULL while it is in use; else another grp has replaced it
//           first_slot sealed  its sealed slots lie in [first_slot, sealed): chunks hold them, what a tail row still
//                              holds of them counts no more
//           bundle      whose tail rows hold its frames; one that version 1 made has 0
//   tail    id          bundle * 2^32 + n; 0 * 2^32: of any group (rows that version 1 wrote). Rows are written over in
//                       place once all that they hold is sealed
//           number      one or more for each commit, ascending as they were written
//           first_ms last_ms             the smallest and largest stamp in it
//           d           storage/codec/frame.hpp
//   chunk   k           slot * 2^24 + grp.id; a slot is 15 minutes of the epoch (storage/history/slot.hpp)
//           samples     how many it holds
//           d           storage/codec/chunk.hpp
//   roll_1m k           likewise
//           d           storage/codec/rollup_block.hpp
//   roll_1h start_s     of the hour, seconds since the epoch
//           series min max mean last count seconds increase   storage/codec/rollup.hpp; for anyone:
//             SELECT datetime(start_s, 'unixepoch'), labels, mean FROM roll_1h JOIN series ON id = series
//             WHERE metric = 'perjoule_gpu_power_watts'
//   meta    name value                   clock_*_ms: storage/history/believed_clock.hpp
//
// Sealing writes chunk, roll_1m and roll_1h and moves grp.sealed in one transaction.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace perjoule::storage {

struct Format {
  std::string_view what;  // "ledger", "history": for messages
  std::int32_t application_id = 0;
  std::span<const std::string_view> migrations;
  std::int64_t wal_pages = 1000;  // checkpoint when the WAL holds as many pages (wal_autocheckpoint)
};

extern const Format ledger_format;
extern const Format history_format;

}  // namespace perjoule::storage
