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
// history.db, version 1
//   series  id metric labels unit kind   unit: the suffix of the name ("watts"); kind: 0 gauge, 1 counter
//   grp     id source device period_ms   one row per membership
//           members     series ids in column order, differences as varints (storage/varint.hpp); never changes
//           closed_seq  the last frame before another grp replaced this one; NULL while it is in use
//   tail    seq         one frame per commit, ascending as they were written
//           first_ms last_ms             the smallest and largest stamp in it
//           d           storage/frame.hpp
//   meta    name value
//
// Sealed chunks and roll-ups come as further tables with the key slot << 24 | grp.id; they delete the tail rows they
// cover.
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
