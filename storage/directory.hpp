// The directory of ledger.db and history.db, claimed by one daemon at a time, because two writers would count energy
// twice. The claim is an flock on the file `lock` in it: the kernel releases it when the process ends, also after a
// crash or kill -9. The object owns the claim and releases it when destroyed. Any thread; blocks on the file system.
//
// Directory and lock must belong to the daemon's user or to root, because any other owner could replace the files. So
// the service uses what systemd made for its user (StateDirectory), quickstart.sh the .perjoule of the user who starts
// it, and a container a volume of root. Root does not use the directory of the service's user: the files that it would
// create there would lock the service out. The daemon creates its files with mode 0640 at most, and follows no symbolic
// link to one; the directory itself may be reached through links.
#pragma once

#include <filesystem>
#include <optional>
#include <utility>

#include "collectors/result.hpp"

namespace perjoule::storage {

class Directory {
 public:
  // Creates the directory (mode 0750) if it is missing. Errors carry a remedy; if another process holds the claim, the
  // error names its pid. Fault denied: permissions, another owner, read-only file system or claimed; transient:
  // anything else.
  [[nodiscard]] static Result<Directory> claim(const std::filesystem::path& path);

  // The pid of the process that holds the claim, 0 if the lock file does not contain it; nullopt if there is no claim.
  [[nodiscard]] static std::optional<int> holder(const std::filesystem::path& path);

  ~Directory();
  Directory(Directory&& other) noexcept : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}
  Directory& operator=(Directory&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(lock_, other.lock_);
    return *this;
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  Directory(std::filesystem::path path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::filesystem::path path_;
  int lock_ = -1;
};

}  // namespace perjoule::storage
