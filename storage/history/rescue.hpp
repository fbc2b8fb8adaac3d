// Copies a history that is damaged, or whose file has lost its name, into a new file.
//
// It reads through the connection that has the old file open: pages in its cache and in its WAL are good even if the
// file below them is not. Rows on pages that cannot be read are left out. A row of another table is copied only if its
// series or group is known, because a new series could get the number of a lost one. One thread; blocks, for about a
// second per 200 MiB.
#pragma once

#include <cstdint>

#include "storage/sqlite/database.hpp"

namespace perjoule::storage {

struct Rescued {
  std::int64_t rows = 0;      // copied
  std::int64_t failures = 0;  // reads that failed; 0: the copy is complete
};

// `to`: a new, empty history.db. An error: `to` cannot be written.
[[nodiscard]] Result<Rescued> rescue(Connection& from, Connection& to);

}  // namespace perjoule::storage
