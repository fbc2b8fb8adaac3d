// Families of sensors that drivers of several folders share: hwmon chips report power and energy beside temperatures,
// and a textfile publishes inlet temperatures. They are declared here because a driver may include only its own
// folder's headers and those of collectors/.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule {

inline constexpr auto sensor_temperature = gauge<Unit::celsius>(
    "perjoule_temperature_celsius",
    "Temperature as a sensor chip or a thermal zone reports it (hwmon tempN_input, thermal_zoneN/temp).", "chip",
    "sensor", "role");

inline constexpr auto sensor_power = gauge<Unit::watt>(
    "perjoule_sensor_power_watts",
    "Power as a sensor chip reports it (hwmon powerN_average, else powerN_input), else the mean rate of its energy "
    "counter. Do not sum over roles: a node's input power includes that of its parts.",
    "chip", "sensor", "role");

inline constexpr auto sensor_energy =
    persisted_counter<Unit::joule>("perjoule_sensor_energy_joules_total",
                                   "Energy of a sensor: the chip's own counter (hwmon energyN_input) where it has "
                                   "one, else the integral of its power. Do not sum over roles: a node's energy "
                                   "includes that of its parts.",
                                   "chip", "sensor", "role");

}  // namespace perjoule
