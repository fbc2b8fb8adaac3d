#include "collectors/grant.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "collectors/sysfs.hpp"
#include "config/text.hpp"

namespace perjoule {

std::string parse_service_unit(std::string_view cgroups) {
  while (!cgroups.empty()) {
    const std::string_view line = cgroups.substr(0, cgroups.find('\n'));
    cgroups.remove_prefix(std::min(line.size() + 1, cgroups.size()));
    const std::string_view unit = line.substr(line.rfind('/') + 1);
    if (line.find('/') == std::string_view::npos || line.find("/user.slice/") != std::string_view::npos) continue;
    const bool plain = unit.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.@") ==
                       std::string_view::npos;
    if (unit.ends_with(".service") && plain) return std::string(unit);
  }
  return {};
}

std::string grant_command(const Roots& roots, std::string_view capability, std::string_view removed_by) {
  std::string unit = roots.unit;
  if (unit.empty()) {
    const Result<std::string> cgroups = sysfs::read_whole(roots.procfs / "self/cgroup", sysfs::text_max);
    if (cgroups) unit = parse_service_unit(*cgroups);
  }
  if (!unit.empty()) {
    return fmt::format(
        "{1} lacks {0}: sudo rm -f /etc/systemd/system/{1}.d/{2} && sudo systemctl daemon-reload && "
        "sudo systemctl restart {1}; a unit other than the packaged one also needs AmbientCapabilities={0} and "
        "CapabilityBoundingSet={0}",
        capability, unit, removed_by);
  }
  return fmt::format(
      "sudo setcap {}+ep \"$(command -v perjouled)\", or run it as the packaged perjouled.service, which has "
      "AmbientCapabilities={} unless its drop-in {} is installed",
      text::lower(capability), capability, removed_by);
}

}  // namespace perjoule
