// Version, revision, branch and compiler of this binary; the build generates them (revision.hpp). Pure; any thread.
#pragma once

#include <string>

#include "daemon/self/instruments.hpp"

namespace perjoule {

[[nodiscard]] BuildInfo build_info();

// For --version, in the format of Prometheus exporters: "perjouled, version X (branch: .., revision: ..)".
[[nodiscard]] std::string version_text();

}  // namespace perjoule
