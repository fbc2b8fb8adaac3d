// Cost and emissions of the node's energy, at a configured constant price and carbon intensity; absent until those are
// configured. Loop's thread only.
//
// Energy is booked once, at the price in force at that time, so totals never decrease and a new price does not change
// past cost. Money is booked in millionths of the currency, mass in micrograms; the remainder below that is carried to
// the next booking.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "daemon/record/row.hpp"

namespace perjoule {

__extension__ using WideInteger = __int128;

// Converts microjoules to millionths of a unit (currency, gram) that has a rate per kilowatt-hour.
class EnergyRate {
 public:
  // The rate, not negative, is rounded to a billionth per kilowatt-hour.
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
  [[nodiscard]] std::string_view lacks(const Metric& output) const override;
  void observe(const Observation& observation) override;
  void derive(const Stamp& stamp, Derivation& derivation) override;

 private:
  std::string currency_;
  bool is_credit_ = false;
  std::optional<double> pue_;
  std::optional<EnergyRate> price_;
  std::optional<EnergyRate> carbon_;
  std::optional<std::int64_t> booked_;  // node energy of the current batch, in microjoules
};

}  // namespace perjoule
