// The user that perjouled.service runs as, with the capabilities that its unit grants, so that `doctor` judges what the
// service can read and not what its caller can. Reads the unit's files; main thread only, before any other thread runs.
//
// Source: systemd.unit(5) for the order of files and drop-ins, systemd.exec(5) for User= and AmbientCapabilities=. What
// the unit restricts besides (devices, namespaces) is not imitated.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/result.hpp"

namespace perjoule {

inline constexpr std::string_view service_unit = "perjouled.service";

struct ServiceUser {
  std::string name;
  std::vector<std::string> capabilities;  // "CAP_DAC_READ_SEARCH"

  // "user perjoule with CAP_DAC_READ_SEARCH (perjouled.service)"
  [[nodiscard]] std::string text() const;
};

// From the unit's file and its drop-ins, in the order in which systemd reads them. A unit without User= runs as root.
[[nodiscard]] ServiceUser parse_unit(const std::vector<std::string>& files);

// Nothing where no such unit is installed below `rootfs`.
[[nodiscard]] std::optional<ServiceUser> service_user(const std::filesystem::path& rootfs);

// Makes this process that user, for good, with those of the capabilities that the process has. Requires root. Error
// absent: there is no such user; denied: the system refuses.
[[nodiscard]] Result<void> become(const ServiceUser& service);

// "user alice", of this process.
[[nodiscard]] std::string own_user();

}  // namespace perjoule
