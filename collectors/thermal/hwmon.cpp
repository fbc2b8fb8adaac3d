// Temperatures, fans, power and energy of the sensor chips in the kernel's hwmon class.
//
// Source: Documentation/hwmon/sysfs-interface.rst (millidegrees, rpm, microwatts, microjoules). Drivers return EAGAIN,
// EIO, ENODATA and ENXIO for single channels while their bus is busy or the device is suspended: only that channel then
// reports a fault.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "collectors/collector.hpp"
#include "collectors/sensor_metrics.hpp"
#include "collectors/thermal/hwmon_channel.hpp"
#include "collectors/thermal/hwmon_chip.hpp"
#include "collectors/thermal/metrics.hpp"

namespace perjoule {

namespace {

constexpr std::uint64_t limits_every = 60;  // samples: limits change rarely, and reading some needs a slow bus
constexpr double celsius_min = -100;
constexpr double celsius_max = 250;
// A limit outside this range is a register that was never set: NVMe shows 65261.85 C and -273.15 C, Super I/O chips
// 0 C.
constexpr double limit_celsius_above = 0;
constexpr double limit_celsius_max = 200;
constexpr double rpm_max = 200'000;
constexpr double power_max_default = 20'000;
constexpr double package_watts_guess = 1'000;  // the largest where the chip names none, for the gate
constexpr double board_watts_guess = 2'000;

constexpr auto power_limit = gauge<Unit::watt>(
    "perjoule_sensor_power_limit_watts",
    "Power limit of a sensor chip: cap is the limit in force (hwmon powerN_cap), max the power at which it raises an "
    "alarm or caps (powerN_max). Absent where none is set.",
    "chip", "sensor", "role", "limit");

// A register with all bits set, or with the smallest or largest signed number, means "no reading". Registers of 32
// bits are shown as they are, in every unit; those of 16 bits as revolutions; those of 8 bits as degrees.
bool is_sentinel(std::int64_t value, ChannelKind kind) {
  if (value == 0x7fffffff || value == 0xffffffff || value == -0x80000000LL) return true;
  if (kind == ChannelKind::fan) return value == 0xffff || value == 0x7fff;
  if (kind == ChannelKind::temperature) return value == 127'000 || value == -128'000 || value == 255'000;
  return false;
}

// Super I/O chips and network cards show 0 for a sensor or module that is not there. In front of and behind a machine
// it may be freezing.
bool shows_zero_for_nothing(const Channel& channel) {
  return channel.role == "board" || channel.role == "nic";
}

class Hwmon final : public Collector {
 public:
  Hwmon(Chip chip, std::vector<Channel> channels, double power_max)
      : chip_(std::move(chip)), channels_(std::move(channels)), power_max_(power_max) {}

  Result<void> sample(Batch& batch) override {
    const bool refresh = samples_++ % limits_every == 0;
    bool any = false;
    std::optional<Error> failure;
    for (Channel& channel : channels_) {
      if (refresh) read_limits(channel);
      channel.watts.reset();
      if (is_off(channel)) continue;
      const std::uint64_t refused = batch.refused_count();
      const Result<void> read = channel.kind == ChannelKind::energy ? meter(channel, batch) : gauge_of(channel, batch);
      if (read) {
        any = true;
        if (batch.refused_count() == refused) batch.ok();
        show_limits(channel, batch);
        continue;
      }
      batch.fault(channel.sensor, read.error());
      // The error of a channel that fails is more useful than that of one that is absent.
      if (!failure || failure->fault == Fault::absent) failure = read.error();
    }
    // A chip whose sensors have no value now is still there, and is asked again at the next tick.
    std::error_code ignored;
    const bool is_there =
        failure && failure->fault == Fault::absent && std::filesystem::exists(chip_.directory, ignored);
    if (!any && failure && !is_there) return *std::move(failure);
    return {};
  }

 private:
  static bool is_off(Channel& channel) {
    if (channel.fault) {
      const auto fault = channel.fault->integer();
      if (fault && *fault != 0) return true;
    }
    if (channel.enable) {
      const auto enable = channel.enable->integer();
      if (enable && *enable == 0) return true;
    }
    return false;
  }

  void read_limits(Channel& channel) const {
    const bool thermal = channel.kind == ChannelKind::temperature;
    for (ChannelLimit& limit : channel.limits) {
      const auto raw = limit.file.integer();
      limit.value.reset();
      if (!raw || is_sentinel(*raw, channel.kind)) continue;
      const double value = thermal ? celsius_from_milli(*raw).value() : watts_from_micro(*raw).value();
      const bool plausible = thermal ? value > limit_celsius_above && value <= limit_celsius_max  //
                                     : value > 0 && value <= power_max_;
      if (plausible) limit.value = value;
    }
  }

  void show_limits(const Channel& channel, Batch& batch) const {
    for (const ChannelLimit& limit : channel.limits) {
      if (!limit.value) continue;
      if (channel.kind == ChannelKind::temperature) {
        batch.add(temperature_limit, celsius(*limit.value), chip_.label, channel.sensor, channel.role, limit.name);
      } else {
        batch.add(power_limit, watts(*limit.value), chip_.label, channel.sensor, channel.role, limit.name);
      }
    }
  }

  // The power channel of a sensor that has an energy channel too; null: there is none.
  [[nodiscard]] const Channel* power_beside(const Channel& energy) const {
    if (!energy.paired) return nullptr;
    const auto found = std::ranges::find_if(channels_, [&energy](const Channel& channel) {
      return channel.kind == ChannelKind::power && channel.sensor == energy.sensor;
    });
    return found == channels_.end() ? nullptr : &*found;
  }

  [[nodiscard]] double rate_max(const Channel& channel, const Channel* beside) const {
    double largest = 0;
    for (const Channel* one : {&channel, beside}) {
      for (const ChannelLimit& limit : one == nullptr ? std::span<const ChannelLimit>() : std::span(one->limits))
        largest = std::max(largest, limit.value.value_or(0));
    }
    if (largest > 0) return largest;
    return std::min(power_max_, channel.role == "cpu"   ? package_watts_guess
                                : channel.role == "gpu" ? board_watts_guess
                                                        : power_max_);
  }

  Result<void> meter(Channel& channel, Batch& batch) const {
    const auto microjoules = channel.input.unsigned_integer();
    if (!microjoules) return microjoules.error();
    const Channel* beside = power_beside(channel);
    CounterReading counter = {channel.device, *microjoules, 0, rate_max(channel, beside)};
    counter.patience_ms = patience_ms;
    if (beside != nullptr) counter.watts = beside->watts.value_or(-1);
    const Metric* rate = channel.paired ? nullptr : &sensor_power;
    batch.meter(sensor_energy, rate, counter, chip_.label, channel.sensor, channel.role);
    return {};
  }

  Result<void> gauge_of(Channel& channel, Batch& batch) const {
    const auto raw = channel.input.integer();
    if (!raw) return raw.error();
    if (is_sentinel(*raw, channel.kind)) {
      batch.refuse(channel.sensor, fmt::format("{}: {} is the driver's value for \"no reading\", ignored",
                                               channel.input.path().native(), *raw));
    } else if (channel.kind == ChannelKind::temperature && *raw == 0 && shows_zero_for_nothing(channel)) {
      refuse(channel, "0 C (what these chips show for a sensor that is not connected)", batch);
    } else if (channel.kind == ChannelKind::temperature) {
      show_temperature(channel, celsius_from_milli(*raw), batch);
    } else if (channel.kind == ChannelKind::fan) {
      show_fan(channel, rpm(static_cast<double>(*raw)), batch);
    } else {
      show_power(channel, watts_from_micro(*raw), batch);
    }
    return {};
  }

  void show_temperature(const Channel& channel, Celsius value, Batch& batch) const {
    if (value.value() < celsius_min || value.value() > celsius_max) {
      refuse(channel, fmt::format("{} C (plausible: {} to {} C)", value.value(), celsius_min, celsius_max), batch);
    } else {
      batch.add(sensor_temperature, value, chip_.label, channel.sensor, channel.role);
    }
  }

  void show_fan(const Channel& channel, Rpm value, Batch& batch) const {
    if (value.value() < 0 || value.value() > rpm_max) {
      refuse(channel, fmt::format("{} rpm (plausible: 0 to {} rpm)", value.value(), rpm_max), batch);
    } else {
      batch.add(fan_speed, value, chip_.label, channel.sensor);
    }
  }

  void show_power(Channel& channel, Watts value, Batch& batch) const {
    if (value.value() < 0 || value.value() > power_max_) {
      refuse(channel, fmt::format("{} W (plausible: 0 to {} W)", value.value(), power_max_), batch);
    } else if (channel.paired) {
      channel.watts = value.value();
      batch.add(sensor_power, value, chip_.label, channel.sensor, channel.role);
    } else {
      const PowerReading source = {channel.device, rate_max(channel, nullptr), Origin::integrated};
      batch.integrate(sensor_energy, &sensor_power, value, source, chip_.label, channel.sensor, channel.role);
    }
  }

  static void refuse(const Channel& channel, std::string_view reading, Batch& batch) {
    batch.refuse(channel.sensor,
                 fmt::format("{}: implausible reading {}, ignored", channel.input.path().native(), reading));
  }

  Chip chip_;
  std::vector<Channel> channels_;
  double power_max_;
  std::uint64_t samples_ = 0;
};

Result<std::vector<Probe>> make_hwmon(const Options& options, const Roots& roots) {
  const std::vector<std::string> excluded = options.list("exclude");
  const double power_max = options.number("power_max", power_max_default);
  std::vector<Probe> probes;
  for (Chip& chip : find_chips(roots.sysfs)) {
    if (std::ranges::count(excluded, chip.name) > 0 || std::ranges::count(excluded, chip.label) > 0) continue;
    std::vector<Channel> channels = find_channels(chip);
    if (channels.empty()) continue;
    const bool integrated = std::ranges::any_of(
        channels, [](const Channel& channel) { return channel.kind == ChannelKind::power && !channel.paired; });
    std::string device = chip.label;
    auto collector = std::make_unique<Hwmon>(std::move(chip), std::move(channels), power_max);
    probes.push_back({std::move(device), std::move(collector), integrated});
  }
  if (probes.empty()) {
    return Error{Fault::absent, fmt::format("{}: no sensor chip", (roots.sysfs / "class/hwmon").native())};
  }
  return probes;
}

constexpr std::array<const Metric*, 6> metrics = {&sensor_temperature, &temperature_limit, &fan_speed,
                                                  &sensor_power,       &sensor_energy,     &power_limit};

constexpr std::array<Option, 2> options = {
    {{"power_max", OptionType::power, "20 kW",
      "Largest plausible power of a sensor; readings above it are ignored and counted (some drivers return "
      "4294967295 W as an error code).",
      1, 10e6},
     {"exclude", OptionType::text_list, "",
      "Chips that are not read, by driver name (\"nvme\") or by the value of their label chip."}}};

}  // namespace

extern const Entry hwmon_entry;
const Entry hwmon_entry = {
    .name = "hwmon",
    .help = "Temperatures, fans, power and energy of sensor chips, from /sys/class/hwmon.",
    .metrics = metrics,
    .options = options,
    .enabled = true,
    .period = std::chrono::milliseconds(5000),
    .deadline = std::chrono::milliseconds(2000),
    .make = make_hwmon,
};

}  // namespace perjoule
