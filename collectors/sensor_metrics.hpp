// What a sensor shows, whichever room its driver is in: hwmon chips report power and energy beside temperatures, and a
// textfile publishes inlet temperatures. They are vocabulary because a driver knows no other room.
#pragma once

#include "collectors/metric.hpp"

namespace perjoule {

inline constexpr auto sensor_temperature = gauge<Unit::celsius>(
    "perjoule_temperature_celsius",
    "Temperature as a sensor chip or a thermal zone reports it (hwmon tempN_input, thermal_zoneN/temp).", "chip",
    "sensor", "role");

inline constexpr auto sensor_power = gauge<Unit::watt>(
    "perjoule_sensor_power_watts",
    "Power as a sensor chip reports it (hwmon powerN_input or powerN_average, or a board's own counters). Not additive "
    "over roles: a node's inlet holds what its parts use.",
    "chip", "sensor", "role");

inline constexpr auto sensor_energy =
    persisted_counter<Unit::joule>("perjoule_sensor_energy_joules_total",
                                   "Energy of a sensor: the chip's own counter (hwmon energyN_input) where it has one, "
                                   "else the integral of its power. "
                                   "Not additive over roles.",
                                   "chip", "sensor", "role");

}  // namespace perjoule
