// Families that drivers of more than one room fill. A driver includes no other room's headers, so what they share is
// declared here, once.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule {

inline constexpr auto temperature = gauge<Unit::celsius>(
    "perjoule_temperature_celsius",
    "Temperature as a sensor chip or a thermal zone reports it (hwmon tempN_input, thermal_zoneN/temp).", "chip",
    "sensor", "role");

}  // namespace perjoule
