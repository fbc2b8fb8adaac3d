// Derives the metrics of each GPU's time and energy: perjoule_gpu_state_*, idle floor, idle waste, headroom, agreement
// of energy counter and power readings. Booked with each GPU's own batch. The state and the learned floor of each GPU
// are saved in the ledger (key "gpu/UUID") and restored after a restart. Loop's thread only.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/efficiency/gpu_account.hpp"
#include "daemon/efficiency/gpu_occupancy.hpp"
#include "daemon/record/ledger.hpp"
#include "daemon/record/row.hpp"

namespace perjoule {

// How the idle floor of a GPU is known, best first.
enum class FloorSource : std::uint8_t { configured, own, sister, assumed };
inline constexpr std::array floor_sources = {FloorSource::configured, FloorSource::own, FloorSource::sister,
                                             FloorSource::assumed};
[[nodiscard]] std::string_view name(FloorSource source);

class GpuRow final : public Row {
 public:
  // `occupancy` is shared with the row of the node's states.
  GpuRow(Ledger& ledger, std::shared_ptr<GpuOccupancy> occupancy) : ledger_(ledger), occupancy_(std::move(occupancy)) {}
  [[nodiscard]] std::span<const Metric* const> inputs() const override;
  [[nodiscard]] std::span<const Metric* const> outputs() const override;
  [[nodiscard]] bool of_device() const override { return true; }
  void configure(const config::Efficiency& settings) override;
  void observe(const Observation& observation) override;
  void derive(const Stamp& stamp, Derivation& derivation) override;
  // The models whose floor is unknown.
  [[nodiscard]] std::string note(std::int64_t now_ns) const override;

 private:
  struct Floor {
    double watts = 0;
    FloorSource source{};
  };
  struct Gpu {
    std::string slot;
    std::string uuid;
    GpuAccount account;
    std::optional<GpuState> kept_state = {};  // as saved in the ledger
    std::int64_t kept_ns = 0;                 // time of that save
    RecentPeak peak = {};
    Agreement agreement = {};
    std::string model = {};
    std::optional<double> limit_watts = {};  // the newest
    std::optional<FloorSource> floor_shown = {};
    bool states_shown = false;
    std::int64_t read_ns = 0;
    // Of the current batch.
    GpuReading reading = {};
    std::optional<double> instant_watts = {};
    std::optional<GpuInterval> interval = {};
    bool is_touched = false;
    bool is_counted = false;  // its energy comes from a counter, not from an integral
  };
  Gpu& find(std::string_view slot, std::string_view uuid);
  void note_reading(Gpu& gpu, const Observation& observation);
  void derive(Gpu& gpu, const Stamp& stamp, Derivation& derivation);
  void derive_states(Gpu& gpu, std::int64_t now_ns, Derivation& derivation);
  void show_floor(Gpu& gpu, const std::optional<Floor>& floor, Derivation& derivation);
  [[nodiscard]] std::optional<Floor> floor_of(const Gpu& gpu) const;
  void keep(Gpu& gpu, std::int64_t now_ns);

  Ledger& ledger_;
  std::shared_ptr<GpuOccupancy> occupancy_;
  std::int64_t enter_after_ns_ = 60'000'000'000;
  std::optional<double> configured_floor_;
  std::map<std::string, Gpu, std::less<>> gpus_;  // by UUID
  std::vector<Gpu*> touched_;                     // by the current batch
};

}  // namespace perjoule
