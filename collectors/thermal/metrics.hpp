// Families that several thermal drivers share. A physical sensor is in a family once: where two drivers see the same
// one, only one of them gives it a role other than "other" (thermal_zone.cpp says how).
#pragma once

#include "collectors/metric.hpp"
#include "collectors/sensor_metrics.hpp"

namespace perjoule {

inline constexpr auto temperature_limit = gauge<Unit::celsius>(
    "perjoule_temperature_limit_celsius",
    "Temperature limit that the chip or its firmware names (hwmon tempN_max, tempN_crit, tempN_emergency; trip points "
    "hot and critical of a thermal zone). Absent where none is set.",
    "chip", "sensor", "role", "limit");

inline constexpr auto fan_speed = gauge<Unit::rpm>(
    "perjoule_fan_speed_rpm", "Speed of a fan as a sensor chip reports it (hwmon fanN_input).", "chip", "sensor");

}  // namespace perjoule
