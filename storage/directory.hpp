// The directory that holds the two files, claimed by one daemon. The claim (flock on `lock`) ends with the process,
// however it ends. Any thread.
#pragma once

#include <filesystem>
#include <optional>
#include <utility>

#include "collectors/result.hpp"

namespace perjoule::storage {

class Directory {
 public:
  // Makes the directory (0750) where it is missing. Errors say the remedy; the one for a second daemon names its pid.
  [[nodiscard]] static Result<Directory> claim(const std::filesystem::path& path);

  // The pid of the process that holds the claim (0 where its file does not say); none when nobody does.
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
