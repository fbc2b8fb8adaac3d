// Power, power limits and energy of one board. On the GPU's lane only. NVML gives milliwatts and millijoules; readings
// above 3 x the largest limit that the board reports (10 kW where it reports none) are refused. Which reading is a mean
// on which generation: Yang et al., SC24 (arXiv 2312.02741).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "collectors/gpu/nvml_fields.hpp"

namespace perjoule::nvml {

// Labels of a board's series, and its identity in the ledger.
struct Labels {
  std::string slot;
  std::string uuid;
};

// Mean power over the last ten seconds from the energy counter. Ten seconds, because the counter is updated every 20 to
// 100 ms: over one second that is an error of several percent.
class EnergyMean {
 public:
  // Adds a reading of the counter. None until two seconds have been observed since the start or a counter reset.
  [[nodiscard]] std::optional<double> watts(std::int64_t now_ns, std::int64_t millijoules);

 private:
  struct Point {
    std::int64_t at_ns = 0;
    std::int64_t millijoules = 0;
  };
  std::deque<Point> points_;
};

class Power {
 public:
  // `mean_usage`: nvmlDeviceGetPowerUsage is a one-second mean on this board.
  explicit Power(bool mean_usage) : mean_usage_(mean_usage) {}
  void read(Tick& tick, const Fields& fields, const Labels& labels);

 private:
  // The reading if it is plausible; else none, and the refusal is counted.
  std::optional<Watts> plausible(Tick& tick, std::string_view what, std::int64_t milliwatts) const;
  std::optional<Watts> field_power(Tick& tick, const Fields& fields, Field field, std::string_view what) const;
  std::optional<Watts> usage(Tick& tick);
  std::optional<std::int64_t> energy(Tick& tick, const Fields& fields);
  void read_limits(Tick& tick, const Fields& fields, const Labels& labels);

  bool mean_usage_;
  double limit_watts_ = 0;  // the largest limit in force or allowed; 0: unknown
  EnergyMean mean_;
  Feature usage_feature_, energy_feature_, limit_feature_, default_feature_, range_feature_;
};

}  // namespace perjoule::nvml
