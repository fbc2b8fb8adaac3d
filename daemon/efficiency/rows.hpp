// Every derived row in the order of dependency: what one books, those behind it may observe.
#pragma once

#include <vector>

#include "daemon/record/ledger.hpp"
#include "daemon/record/row.hpp"

namespace perjoule {

// `ledger` keeps what a row has learnt over restarts, and outlives the rows.
[[nodiscard]] Rows make_rows(Ledger& ledger);

// What they derive, for the catalogue.
[[nodiscard]] std::vector<const Metric*> row_metrics();

}  // namespace perjoule
