// Metric families that several thermal drivers share. Where two drivers read the same physical sensor, only one of them
// gives it a role other than "other", so that each role contains a sensor once (see thermal_zone.cpp). Constants only.
#pragma once

#include "collectors/metric.hpp"
#include "collectors/sensor_metrics.hpp"

namespace perjoule {

inline constexpr auto temperature_limit = gauge<Unit::celsius>(
    "perjoule_temperature_limit_celsius",
    "Temperature limit that the chip or its firmware states (hwmon tempN_max, tempN_crit, tempN_emergency; trip points "
    "hot and critical of a thermal zone). Absent where none is set.",
    "chip", "sensor", "role", "limit");

inline constexpr auto fan_speed = gauge<Unit::rpm>(
    "perjoule_fan_speed_rpm", "Speed of a fan as a sensor chip reports it (hwmon fanN_input).", "chip", "sensor");

}  // namespace perjoule
