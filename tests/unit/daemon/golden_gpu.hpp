// One GPU that goes through every state in half an hour of virtual time, for the golden scrape of derived families.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "collectors/collector.hpp"
#include "collectors/gpu/metrics.hpp"

namespace perjoule {

class GoldenGpu : public Collector {
 public:
  static constexpr const char* uuid = "GPU-5f0e9b1c-0000-4000-8000-000000000001";
  static constexpr std::uint64_t seconds = 2000;

  [[nodiscard]] Result<void> sample(Batch& batch) override {
    struct Phase {
      double watts;
      double utilization;
      double processes;
    };
    static constexpr std::array phases = {Phase{70, 0, 0}, Phase{125, 0, 1}, Phase{250, 0.03, 1}, Phase{650, 0.98, 1}};
    const Phase& phase = phases[second_++ * phases.size() / (seconds + 1)];
    energy_uj_ += static_cast<std::uint64_t>(phase.watts * 1e6);
    batch.meter(gpu_energy, nullptr, {uuid, energy_uj_, 0, 1000}, "0", uuid);
    batch.add(gpu_power, watts(phase.watts), "0", uuid);
    batch.add(gpu_power_instant, watts(phase.watts), "0", uuid);
    batch.add(gpu_power_limit, watts(700), "0", uuid);
    batch.add(gpu_utilization, ratio(phase.utilization), "0", uuid);
    batch.add(gpu_holding_processes, count(phase.processes), "0", uuid);
    batch.add(gpu_clock_idle, count(phase.utilization > 0 ? 0 : 1), "0", uuid);
    return {};
  }

  static const Entry& entry() {
    static constexpr std::array<const Metric*, 7> metrics = {&gpu_energy,      &gpu_power,       &gpu_power_instant,
                                                             &gpu_power_limit, &gpu_utilization, &gpu_holding_processes,
                                                             &gpu_clock_idle};
    static const Entry made{.name = "gpu",
                            .help = "Plays a GPU.",
                            .metrics = metrics,
                            .options = {},
                            .make = [](const Options&, const Roots&) -> Result<std::vector<Probe>> {
                              std::vector<Probe> probes;
                              probes.push_back({uuid, std::make_unique<GoldenGpu>()});
                              return probes;
                            }};
    return made;
  }

 private:
  std::uint64_t second_ = 0;
  std::uint64_t energy_uj_ = 0;
};

}  // namespace perjoule
