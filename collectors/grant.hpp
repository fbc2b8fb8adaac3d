// The command that gives the daemon a capability which the packaged systemd unit grants and this process lacks: for a
// service, removing the packaged drop-in that takes it away; else the binary's file capabilities. Reads one small file;
// lanes only.
#pragma once

#include <string>
#include <string_view>

#include "config/roots.hpp"

namespace perjoule {

// "perjouled.service" from /proc/self/cgroup (proc(5), "/proc/PID/cgroup": `ID:CONTROLLERS:PATH`, one line per
// hierarchy). "" when the process is not a system service, such as a session, a user's service or a container without
// systemd. Only names of plain characters are returned, so that one can be pasted into a shell command.
[[nodiscard]] std::string parse_service_unit(std::string_view cgroups);

// `capability` as systemd spells it, "CAP_DAC_READ_SEARCH"; `removed_by` is the packaged drop-in without it,
// "00-no-rapl.conf".
[[nodiscard]] std::string grant_command(const Roots& roots, std::string_view capability, std::string_view removed_by);

}  // namespace perjoule
