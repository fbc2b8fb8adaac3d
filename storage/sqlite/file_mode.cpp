#include "storage/sqlite/file_mode.hpp"

#include <sys/stat.h>

namespace perjoule::storage {

void narrow(const std::filesystem::path& path) {
  constexpr mode_t too_wide = 0027;
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || (status.st_mode & too_wide) == 0) return;
  [[maybe_unused]] const int ignored = ::chmod(path.c_str(), status.st_mode & 07777U & ~too_wide);
}

}  // namespace perjoule::storage
