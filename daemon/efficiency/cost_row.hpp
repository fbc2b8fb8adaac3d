// What the node's energy costs and emits, at a constant price and intensity: absent until they are configured.
//
// Energy is booked once at the price that is in force when it is booked, so a total never falls and a price that
// changes does not touch the past. Money is booked in millionths of the currency, mass in micrograms; what is less is
// carried to the next booking.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "daemon/record/row.hpp"

namespace perjoule {

__extension__ using WideInteger = __int128;

// Turns microjoules into millionths of something that has a rate per kilowatt-hour.
class EnergyRate {
 public:
  // Kept to a billionth per kilowatt-hour.
  explicit EnergyRate(double per_kilowatt_hour);
  [[nodiscard]] std::int64_t millionths(std::int64_t microjoules);

 private:
  std::int64_t billionths_;
  WideInteger remainder_ = 0;
};

class CostRow final : public Row {
 public:
  [[nodiscard]] std::span<const Metric* const> inputs() const override;
  [[nodiscard]] std::span<const Metric* const> outputs() const override;
  void configure(const config::Efficiency& settings) override;
  void observe(const Observation& observation) override;
  void derive(const Stamp& stamp, Derivation& derivation) override;

 private:
  std::string currency_;
  bool is_credit_ = false;
  std::optional<double> pue_;
  std::optional<EnergyRate> price_;
  std::optional<EnergyRate> carbon_;
  std::optional<std::int64_t> booked_;  // of the batch in hand
};

}  // namespace perjoule
