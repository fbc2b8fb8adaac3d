// What this binary was built from: version, revision and branch are stamped in by the build. Pure; any thread.
#pragma once

#include <string>

#include "daemon/self/instruments.hpp"

namespace perjoule {

[[nodiscard]] BuildInfo build_info();

// The exporters' shape: "perjouled, version X (branch: .., revision: ..)".
[[nodiscard]] std::string version_text();

}  // namespace perjoule
