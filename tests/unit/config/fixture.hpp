// Shared by the tests of the configuration: a temporary directory per test, and collectors with every type of option.
#pragma once

#include <stdlib.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "config/loader.hpp"

namespace perjoule::config {

class Directory {
 public:
  Directory() : path_(std::filesystem::temp_directory_path() / "perjoule-config-XXXXXX") {
    std::string pattern = path_.string();
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  std::filesystem::path write(const std::string& name, std::string_view text) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::filesystem::remove(file);  // truncating and rewriting a file makes some file systems flush it, which is slow
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  // `text` without this directory's name.
  [[nodiscard]] std::string hide(std::string text) const {
    const std::string prefix = path_.string() + "/";
    for (std::size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix))
      text.erase(at, prefix.size());
    return text;
  }

 private:
  std::filesystem::path path_;
};

inline constexpr std::array<Option, 8> fan_options = {{
    {"directory", OptionType::text, "/var/lib/fan", "Directory to read."},
    {"exclude", OptionType::text_list, "", "Names it leaves out."},
    {"wait", OptionType::duration, "2s", "How long it waits.", 1, 60},
    {"limit", OptionType::size, "1 MiB", "How much it reads.", 1024, 1 << 30},
    {"rating", OptionType::power, "", "Its power.", 1, 1000},
    {"scale", OptionType::number, "0.5", "A factor.", 0, 1},
    {"count", OptionType::integer, "8", "How many.", 1, 64},
    {"strict", OptionType::boolean, "false", "Whether it is strict."},
}};

inline std::vector<CollectorSection> test_collectors() {
  return {
      {"rapl", "Reads energy counters.", true, Milliseconds(1000), Milliseconds(900), {}},
      {"thermal_zone", "Reads zones.", true, Milliseconds(5000), Milliseconds(2000), {}},
      {"fan", "Reads a fan | two.", false, Milliseconds(1000), Milliseconds(900), fan_options},
  };
}

inline Input input(std::optional<std::filesystem::path> file = std::nullopt) {
  Input made;
  made.collectors = test_collectors();
  made.file = std::move(file);
  return made;
}

// What `perjouled check-config` prints for this content of perjoule.json; "" when it is valid.
inline std::string refusals_of(std::string_view text) {
  const Directory directory;
  const Outcome outcome = load(input(directory.write("perjoule.json", text)));
  return outcome.refusals.empty() ? "" : directory.hide(render(outcome.refusals));
}

}  // namespace perjoule::config
