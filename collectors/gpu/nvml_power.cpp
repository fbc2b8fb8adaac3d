#include "collectors/gpu/nvml_power.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "collectors/gpu/metrics.hpp"

namespace perjoule::nvml {

namespace {

constexpr std::int64_t window_ns = 10'000'000'000;
constexpr std::int64_t window_least_ns = 2'000'000'000;
constexpr std::size_t points_max = 256;
constexpr double board_watts_max = 10'000;   // for a board that reports no limit
constexpr double board_watts_guess = 2'000;  // the largest of one that reports no limit, for the gate
constexpr double watts_alive = 1;            // no board that draws less is in use
constexpr double sample_margin = 3;          // a sample of 25 ms may hit a short peak above the limit
constexpr std::int64_t limit_milliwatts_max = 20'000'000;
constexpr std::int64_t microjoules_per_millijoule = 1000;
constexpr std::int64_t millijoules_max = std::numeric_limits<std::int64_t>::max() / microjoules_per_millijoule;

}  // namespace

std::optional<double> EnergyMean::watts(std::int64_t now_ns, std::int64_t millijoules) {
  if (!points_.empty() && millijoules < points_.back().millijoules) points_.clear();
  while (points_.size() >= points_max || (points_.size() > 1 && now_ns - points_[1].at_ns >= window_ns))
    points_.pop_front();
  points_.push_back({now_ns, millijoules});
  const Point& first = points_.front();
  const std::int64_t apart_ns = now_ns - first.at_ns;
  if (apart_ns < window_least_ns) return std::nullopt;
  return static_cast<double>(millijoules - first.millijoules) * 1e6 / static_cast<double>(apart_ns);
}

std::optional<Watts> Power::plausible(Tick& tick, std::string_view what, std::int64_t milliwatts) const {
  const double most = limit_watts_ > 0 ? sample_margin * limit_watts_ : board_watts_max;
  const Watts power = watts_from_milli(milliwatts);
  if (power.value() > 0 && power.value() <= most) return power;
  tick.refuse(what, fmt::format("{} mW", milliwatts), fmt::format("above 0, up to {:g} W", most));
  return std::nullopt;
}

std::optional<Watts> Power::field_power(Tick& tick, const Fields& fields, Field field, std::string_view what) const {
  const auto milliwatts = fields[field];
  return milliwatts ? plausible(tick, what, *milliwatts) : std::nullopt;
}

std::optional<Watts> Power::usage(Tick& tick) {
  std::uint32_t milliwatts = 0;
  if (!tick.ask(usage_feature_, "nvmlDeviceGetPowerUsage", tick.api.device_power, &milliwatts)) return std::nullopt;
  return plausible(tick, "power usage", milliwatts);
}

// In millijoules.
std::optional<std::int64_t> Power::energy(Tick& tick, const Fields& fields) {
  std::optional<std::int64_t> millijoules = fields[Field::energy];
  if (!millijoules && fields.missing(Field::energy, tick.now_ns)) {
    std::uint64_t answered = 0;
    constexpr std::string_view what = "nvmlDeviceGetTotalEnergyConsumption";
    if (!tick.ask(energy_feature_, what, tick.api.device_energy, &answered)) return std::nullopt;
    millijoules =
        static_cast<std::int64_t>(std::min<std::uint64_t>(answered, std::numeric_limits<std::int64_t>::max()));
  }
  if (!millijoules) return std::nullopt;
  if (*millijoules >= 0 && *millijoules < millijoules_max) return millijoules;
  tick.refuse("energy", fmt::format("{} mJ", *millijoules), fmt::format("0 to {} mJ", millijoules_max - 1));
  return std::nullopt;
}

void Power::read_limits(Tick& tick, const Fields& fields, const Labels& labels) {
  std::uint32_t limit = 0, shipped = 0, least = 0, most = 0;
  // Drivers without these fields have functions for the same values.
  const auto from = [&](Field field, auto&& call, std::uint32_t& into) -> std::optional<std::int64_t> {
    if (const auto value = fields[field]) return value;
    if (fields.missing(field, tick.now_ns) && call()) return into;
    return std::nullopt;
  };
  const auto enforced = [&] {
    return tick.ask(limit_feature_, "nvmlDeviceGetEnforcedPowerLimit", tick.api.device_power_limit, &limit);
  };
  const auto by_default = [&] {
    return tick.ask(default_feature_, "nvmlDeviceGetPowerManagementDefaultLimit", tick.api.device_power_limit_default,
                    &shipped);
  };
  bool ranged = false;
  const auto range = [&] {
    ranged = ranged || tick.ask(range_feature_, "nvmlDeviceGetPowerManagementLimitConstraints",
                                tick.api.device_power_limit_range, &least, &most);
    return ranged;
  };
  double largest = 0;
  const auto show = [&](const auto& metric, std::string_view what, std::optional<std::int64_t> milliwatts) {
    if (!milliwatts) return;
    if (*milliwatts <= 0 || *milliwatts > limit_milliwatts_max) {
      tick.refuse(what, fmt::format("{} mW", *milliwatts), fmt::format("above 0, up to {} mW", limit_milliwatts_max));
      return;
    }
    const Watts power = watts_from_milli(*milliwatts);
    largest = std::max(largest, power.value());
    tick.batch.add(metric, power, labels.slot, labels.uuid);
  };
  show(gpu_power_limit, "power limit", from(Field::limit, enforced, limit));
  show(gpu_power_limit_default, "default power limit", from(Field::limit_default, by_default, shipped));
  show(gpu_power_limit_min, "smallest power limit", from(Field::limit_min, range, least));
  show(gpu_power_limit_max, "largest power limit", from(Field::limit_max, range, most));
  if (largest > 0) limit_watts_ = largest;
}

void Power::read(Tick& tick, const Fields& fields, const Labels& labels) {
  read_limits(tick, fields, labels);
  std::optional<Watts> instant = field_power(tick, fields, Field::power_instant, "instant power");
  std::optional<Watts> power = field_power(tick, fields, Field::power_average, "average power");
  if (!power && mean_usage_) power = usage(tick);
  if (!instant && !mean_usage_) instant = usage(tick);
  const std::optional<std::int64_t> millijoules = energy(tick, fields);
  if (millijoules) {
    // A counter that does not move gives a mean of 0, which plausible() refuses: a board in use always draws power.
    const std::optional<double> mean = mean_.watts(tick.now_ns, *millijoules);
    if (!power && mean) power = plausible(tick, "mean power", std::llround(*mean * 1e3));
  }
  if (!power) power = instant;

  if (instant) tick.batch.add(gpu_power_instant, *instant, labels.slot, labels.uuid);
  if (const auto module = field_power(tick, fields, Field::module_power, "module power")) {
    tick.batch.add(gpu_module_power, *module, labels.slot, labels.uuid);
  }
  const double limit = limit_watts_ > 0 ? limit_watts_ : board_watts_guess;
  if (millijoules) {
    const auto microjoules = static_cast<std::uint64_t>(*millijoules * microjoules_per_millijoule);
    CounterReading counter = {labels.uuid, microjoules, 0, limit};
    counter.watts = power ? power->value() : -1;
    counter.patience_ms = counter.watts >= watts_alive ? patience_alive_ms : patience_ms;
    tick.batch.meter(gpu_energy, nullptr, counter, labels.slot, labels.uuid);
    if (power) tick.batch.add(gpu_power, *power, labels.slot, labels.uuid);
  } else if (power && fields.missing(Field::energy, tick.now_ns) && energy_feature_.missing(tick.now_ns)) {
    const PowerReading source = {labels.uuid, limit, Origin::integrated};
    tick.batch.integrate(gpu_energy, &gpu_power, *power, source, labels.slot, labels.uuid);
  } else if (power) {
    tick.batch.add(gpu_power, *power, labels.slot, labels.uuid);
  }
}

}  // namespace perjoule::nvml
