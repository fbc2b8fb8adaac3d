// A host's /sys or /proc, built from a literal map in a temporary directory that is removed when the test ends.
#pragma once

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "config/roots.hpp"

namespace perjoule {

class Tree {
 public:
  using Files = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  explicit Tree(Files files = {}) {
    std::string pattern = (std::filesystem::temp_directory_path() / "perjoule-XXXXXX").native();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    root_ = pattern;
    for (const auto& [path, text] : files)
      write(path, text);
  }
  ~Tree() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  [[nodiscard]] std::filesystem::path at(std::string_view path) const { return root_ / path; }
  // For a tree with proc/ and sys/.
  [[nodiscard]] Roots roots() const {
    Roots roots;
    roots.procfs = root_ / "proc";
    roots.sysfs = root_ / "sys";
    return roots;
  }

  // Written in place, so that a driver's open descriptor reads the new content, as in sysfs.
  void write(std::string_view path, std::string_view text) const {
    std::filesystem::create_directories(at(path).parent_path());
    std::ofstream(at(path), std::ios::binary | std::ios::trunc) << text;
  }
  void fifo(std::string_view path) const {
    std::filesystem::create_directories(at(path).parent_path());
    if (::mkfifo(at(path).c_str(), 0600) != 0) std::abort();
  }
  void link(std::string_view path, std::string_view target) const {
    std::filesystem::create_directories(at(path).parent_path());
    std::filesystem::create_symlink(target, at(path));
  }
  void remove(std::string_view path) const { std::filesystem::remove_all(at(path)); }

 private:
  std::filesystem::path root_;
};

}  // namespace perjoule
