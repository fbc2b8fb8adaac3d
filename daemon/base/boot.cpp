#include "daemon/base/boot.hpp"

#include <unistd.h>

#include "collectors/sysfs.hpp"

namespace perjoule {

std::string boot_id(const Roots& roots) {
  for (const std::filesystem::path& procfs : {roots.procfs, std::filesystem::path("/proc")}) {
    if (const Result<std::string> text = sysfs::read_text(procfs / "sys/kernel/random/boot_id"); text && !text->empty())
      return *text;
  }
  return "unknown-boot-of-process-" + std::to_string(getpid());
}

}  // namespace perjoule
