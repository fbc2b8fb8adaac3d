// The command that gives the daemon a capability which it lacks: for a systemd service a drop-in of its unit, else the
// binary's file capabilities. Reads one small file; lanes only.
#pragma once

#include <string>
#include <string_view>

#include "config/roots.hpp"

namespace perjoule {

// "perjouled.service" from /proc/self/cgroup (proc(5), "/proc/PID/cgroup": `ID:CONTROLLERS:PATH`, one line per
// hierarchy); "" when the process is no system service: a session, a user's own service, a container without a unit.
[[nodiscard]] std::string parse_service_unit(std::string_view cgroups);

// `capability` as systemd spells it, "CAP_PERFMON"; `drop_in` is the file that shall hold it, "perf.conf".
[[nodiscard]] std::string grant_command(const Roots& roots, std::string_view capability, std::string_view drop_in);

}  // namespace perjoule
