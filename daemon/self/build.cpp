#include "daemon/self/build.hpp"

#include <fmt/format.h>

#include "revision.hpp"

namespace perjoule {

BuildInfo build_info() {
#if defined(__clang__)
  const std::string compiler = fmt::format("clang {}", __clang_version__);
#else
  const std::string compiler = fmt::format("g++ {}", __VERSION__);
#endif
  return {PERJOULE_VERSION, PERJOULE_REVISION, PERJOULE_BRANCH, compiler};
}

std::string version_text() {
  const BuildInfo build = build_info();
  return fmt::format("perjouled, version {} (branch: {}, revision: {})\n  compiler: {}\n  platform: linux/{}",
                     build.version, build.branch, build.revision, build.compiler,
                     sizeof(void*) == 8 ? "64-bit" : "32-bit");
}

}  // namespace perjoule
