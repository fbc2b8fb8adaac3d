// Derives the metrics of each GPU's time and energy: perjoule_gpu_state_*, idle floor, idle waste, headroom, agreement
// of energy counter and power readings. Booked with each GPU's own batch. The state and the learned floor of each GPU
// are saved in the ledger (key "gpu/UUID") and restored after a restart. Loop's thread only.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "daemon/efficiency/gpu_account.hpp"
#include "daemon/record/ledger.hpp"
#include "daemon/record/row.hpp"

namespace perjoule {

class GpuRow final : public Row {
 public:
  explicit GpuRow(Ledger& ledger) : ledger_(ledger) {}
  [[nodiscard]] std::span<const Metric* const> inputs() const override;
  [[nodiscard]] std::span<const Metric* const> outputs() const override;
  [[nodiscard]] bool of_device() const override { return true; }
  void configure(const config::Efficiency& settings) override;
  void observe(const Observation& observation) override;
  void derive(const Stamp& stamp, Derivation& derivation) override;

 private:
  struct Gpu {
    std::string slot;
    std::string uuid;
    GpuAccount account;
    GpuState kept_state{};     // as saved in the ledger
    std::int64_t kept_ns = 0;  // time of that save
    RecentPeak peak = {};
    Agreement agreement = {};
    // Of the current batch.
    GpuReading reading = {};
    std::optional<double> instant_watts = {};
    std::optional<GpuInterval> interval = {};
    bool is_touched = false;
    bool is_counted = false;  // its energy comes from a counter, not from an integral
  };
  Gpu& find(std::string_view slot, std::string_view uuid);
  void derive(Gpu& gpu, const Stamp& stamp, Derivation& derivation);
  void keep(Gpu& gpu, std::int64_t now_ns);

  Ledger& ledger_;
  std::int64_t enter_after_ns_ = 60'000'000'000;
  std::optional<double> configured_floor_;
  std::map<std::string, Gpu, std::less<>> gpus_;  // by UUID
  std::vector<Gpu*> touched_;                     // by the current batch
};

}  // namespace perjoule
