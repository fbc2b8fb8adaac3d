// Partitions the node's energy by what its GPUs do: active, held_idle, free. Loop's thread only.
#pragma once

#include <memory>
#include <utility>

#include "daemon/efficiency/gpu_occupancy.hpp"
#include "daemon/record/row.hpp"

namespace perjoule {

class NodeStateRow final : public Row {
 public:
  explicit NodeStateRow(std::shared_ptr<const GpuOccupancy> occupancy) : occupancy_(std::move(occupancy)) {}
  [[nodiscard]] std::span<const Metric* const> inputs() const override;
  [[nodiscard]] std::span<const Metric* const> outputs() const override;
  void observe(const Observation& observation) override;
  void derive(const Stamp& stamp, Derivation& derivation) override;

 private:
  std::shared_ptr<const GpuOccupancy> occupancy_;
  std::int64_t pending_uj_ = 0;  // energy of the node that is in no state yet
  std::int64_t pending_since_ns_ = 0;
  bool is_booked_ = false;  // the node's energy was booked in this batch
};

}  // namespace perjoule
