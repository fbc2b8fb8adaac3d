// Identifies the current boot of this host. Any thread; reads one small file.
#pragma once

#include <string>

#include "config/roots.hpp"

namespace perjoule {

// sys/kernel/random/boot_id below roots.procfs, which the kernel generates at every boot (random(4)). Where that file
// does not exist (test fixtures) the one in /proc is taken. If neither can be read, the string contains the process id,
// so that it matches no saved boot and the ledger bridges no gap that might cross a reboot.
[[nodiscard]] std::string boot_id(const Roots& roots);

}  // namespace perjoule
