// Ends the series of a run of the daemon that was killed (storage/store.hpp says what an end mark is).
#pragma once

#include <cstdint>

#include "storage/history/identities.hpp"
#include "storage/history/tail.hpp"
#include "storage/sqlite/database.hpp"

namespace perjoule::storage {

// Writes an end mark, one millisecond after the newest sample, for every series of the groups that have a sample in the
// five minutes before it, as far back as a selector looks. A series that has ended before, like all of them after a
// stop, gets a second mark, which changes nothing: whether all have ended cannot be seen from the newest mark, because
// a single series may have ended just before the kill. Returns the time of the marks; 0: there was nothing to end, or
// this was done after the newest sample before (meta.ended_ms). In a transaction, on the writer's thread; `tail` is
// loaded.
[[nodiscard]] Result<std::int64_t> write_end_marks(Connection& connection, Identities& identities, Tail& tail);

}  // namespace perjoule::storage
