// Why a board's clocks are held down: the reasons that are active now, and the total time of each. The driver's own
// counters (nanoseconds) are used where it has them; else the time is integrated from samples of the active bits.
// On the GPU's lane only. Source: NVML API Reference, clocks event reasons and performance policies.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "collectors/gpu/nvml_power.hpp"

namespace perjoule::nvml {

class Throttle {
 public:
  void read(Tick& tick, const Fields& fields, const Labels& labels);

  struct Reason {
    std::string_view name;
    std::uint64_t bit = 0;  // 0: there is no bit for it, only a counter of its time
    std::optional<Field> counter;
    std::optional<Policy> policy;  // of nvmlDeviceGetViolationStatus, for drivers without the field
  };

 private:
  static constexpr std::size_t reasons_count = 9;
  static const std::array<Reason, reasons_count> reasons;
  struct Counted {
    std::optional<std::int64_t> nanoseconds;
    bool missing = false;  // the driver has no counter for it
  };
  Counted counted(Tick& tick, const Fields& fields, Field field, std::optional<Policy> policy,
                  Feature& violation) const;
  void read_supported(Tick& tick);

  std::uint64_t supported_ = ~std::uint64_t{0};
  std::int64_t supported_at_ns_ = -1;
  Feature active_, supported_feature_, any_violation_;
  std::array<Feature, reasons_count> violations_;
};

}  // namespace perjoule::nvml
