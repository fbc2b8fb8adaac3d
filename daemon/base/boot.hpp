// Which boot of which host this is. Any thread; reads one small file.
#pragma once

#include <string>

#include "config/roots.hpp"

namespace perjoule {

// /proc/sys/kernel/random/boot_id, which is new at every boot; where it does not exist (a fixture tree, some
// containers) the host's own, and without that a text of its own kind, so that nothing is bridged that might be another
// boot.
[[nodiscard]] std::string boot_id(const Roots& roots);

}  // namespace perjoule
