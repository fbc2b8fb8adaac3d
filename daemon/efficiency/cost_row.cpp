#include "daemon/efficiency/cost_row.hpp"

#include <array>
#include <cmath>
#include <utility>

#include "daemon/efficiency/metrics.hpp"
#include "daemon/efficiency/node_power.hpp"

namespace perjoule {

namespace {

// 3.6e12 microjoules per kilowatt-hour, times 1000 billionths per millionth
constexpr WideInteger divisor = WideInteger{3'600'000'000'000} * 1000;

}  // namespace

EnergyRate::EnergyRate(double per_kilowatt_hour)
    : billionths_(static_cast<std::int64_t>(std::llround(per_kilowatt_hour * 1e9))) {}

std::int64_t EnergyRate::millionths(std::int64_t microjoules) {
  const WideInteger sum = WideInteger{microjoules} * billionths_ + remainder_;
  remainder_ = sum % divisor;
  return static_cast<std::int64_t>(sum / divisor);
}

std::span<const Metric* const> CostRow::inputs() const {
  static constexpr std::array<const Metric*, 1> metrics = {&node_energy};
  return metrics;
}

std::span<const Metric* const> CostRow::outputs() const {
  static constexpr std::array<const Metric*, 4> metrics = {&energy_cost, &energy_credit, &emissions, &pue_configured};
  return metrics;
}

void CostRow::configure(const config::Efficiency& settings) {
  pue_ = settings.pue;
  const double facility = settings.pue.value_or(1);
  price_.reset();
  carbon_.reset();
  if (settings.price) {
    price_.emplace(std::abs(settings.price->per_kilowatt_hour) * facility);
    currency_ = settings.price->currency;
    is_credit_ = settings.price->per_kilowatt_hour < 0;
  }
  if (settings.carbon) carbon_.emplace(*settings.carbon * facility);
}

std::string_view CostRow::lacks(const Metric& output) const {
  if (&output == &emissions) return carbon_ ? "" : "efficiency.electricity.carbon";
  if (&output == &pue_configured) return pue_ ? "" : "efficiency.facility.pue";
  return price_ ? "" : "efficiency.electricity.price";
}

void CostRow::observe(const Observation& observation) {
  booked_ = booked_.value_or(0) + observation.booked;
}

void CostRow::derive(const Stamp&, Derivation& derivation) {
  const std::optional<std::int64_t> booked = std::exchange(booked_, std::nullopt);
  if (!booked) return;
  if (price_) {
    const std::int64_t millionths = price_->millionths(*booked);
    derivation.book(energy_cost, {currency_}, is_credit_ ? 0 : millionths);
    derivation.book(energy_credit, {currency_}, is_credit_ ? millionths : 0);
  }
  if (carbon_) derivation.book(emissions, {}, carbon_->millionths(*booked));
  if (pue_) derivation.show(pue_configured, {}, *pue_);
}

}  // namespace perjoule
