#include "daemon/efficiency/rows.hpp"

#include "daemon/efficiency/cost_row.hpp"
#include "daemon/efficiency/gpu_row.hpp"
#include "daemon/efficiency/node_row.hpp"
#include "daemon/efficiency/node_state_row.hpp"

namespace perjoule {

Rows make_rows(Ledger& ledger) {
  Rows rows;
  const auto occupancy = std::make_shared<GpuOccupancy>();
  rows.push_back(std::make_unique<GpuRow>(ledger, occupancy));
  rows.push_back(std::make_unique<NodeRow>(ledger));
  rows.push_back(std::make_unique<NodeStateRow>(occupancy));
  rows.push_back(std::make_unique<CostRow>());
  return rows;
}

std::vector<const Metric*> row_metrics() {
  Ledger nothing({}, "");
  std::vector<const Metric*> metrics;
  for (const auto& row : make_rows(nothing))
    metrics.insert(metrics.end(), row->outputs().begin(), row->outputs().end());
  return metrics;
}

}  // namespace perjoule
