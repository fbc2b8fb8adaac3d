// Temporary directories for tests of storage.
#pragma once

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "collectors/result.hpp"

namespace doctest {

template <class T>
struct StringMaker<boost::system::result<T, perjoule::Error>> {
  static String convert(const boost::system::result<T, perjoule::Error>& result) {
    return result ? String("a value") : String(("error: " + result.error().what).c_str());
  }
};

}  // namespace doctest

namespace perjoule::storage {

class Scratch {
 public:
  Scratch() {
    // In memory if possible, because a commit waits for the disk, and these tests commit thousands of times.
    const bool memory = ::access("/dev/shm", W_OK) == 0;
    const std::filesystem::path parent = memory ? "/dev/shm" : std::filesystem::temp_directory_path();
    std::string pattern = (parent / "perjoule-storage-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Scratch() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// A small tmpfs: a disk that can be full or read-only. Needs root.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& size) {
    mounted_ = ::mount("none", scratch_.path().c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
    if (!mounted_) MESSAGE("skipped: a tmpfs cannot be mounted here (it needs root)");
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(scratch_.path().c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  explicit operator bool() const { return mounted_; }
  std::filesystem::path operator/(const std::string& name) const { return scratch_ / name; }
  const std::filesystem::path& path() const { return scratch_.path(); }

  bool read_only(bool on) {
    return ::mount("none", path().c_str(), nullptr, on ? MS_REMOUNT | MS_RDONLY : MS_REMOUNT, nullptr) == 0;
  }
  // Writes until the disk is full.
  void fill() const {
    std::ofstream file(*this / "ballast", std::ios::binary | std::ios::app);
    const std::string page(4096, 'x');
    while (file.write(page.data(), static_cast<std::streamsize>(page.size())).flush()) {
    }
  }
  void make_room() const { std::filesystem::remove(*this / "ballast"); }

 private:
  Scratch scratch_;
  bool mounted_ = false;
};

inline void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline std::size_t count_kept(const std::filesystem::path& directory) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (name.find(".kept-") != std::string::npos && !name.ends_with("-wal") && !name.ends_with("-shm")) ++count;
  }
  return count;
}

}  // namespace perjoule::storage
