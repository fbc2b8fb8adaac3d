// All derived rows in order of dependency: a row may observe what the rows before it booked. Loop's thread only.
#pragma once

#include <vector>

#include "daemon/record/ledger.hpp"
#include "daemon/record/row.hpp"

namespace perjoule {

// `ledger` saves what a row has learned, and outlives the rows.
[[nodiscard]] Rows make_rows(Ledger& ledger);

// The metrics that the rows derive, for the catalogue. Any thread.
[[nodiscard]] std::vector<const Metric*> row_metrics();

}  // namespace perjoule
