#include "daemon/commands/replay.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "config/text.hpp"

namespace perjoule {

namespace {

constexpr std::string_view shape =
    "expected the folders sys and proc of a host, or folders 0, 1, 2, .. that hold them, one for each second";

bool is_root(const std::filesystem::path& directory) {
  std::error_code ignored;
  return std::filesystem::is_directory(directory / "sys", ignored) ||
         std::filesystem::is_directory(directory / "proc", ignored);
}

std::optional<unsigned> whole_number(std::string_view name) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc() && end == name.data() + name.size() ? std::optional(number) : std::nullopt;
}

Error error_of(const std::filesystem::path& path, std::string_view what) {
  return {Fault::absent, fmt::format("{}: {}", text::printable(path.native()), what)};
}

}  // namespace

Result<Replay> open_replay(const std::filesystem::path& directory) {
  Replay replay;
  std::error_code code;
  replay.directory = std::filesystem::canonical(directory, code);
  if (code) return error_of(directory, code.message());
  replay.has_scenario = std::filesystem::is_regular_file(replay.directory / "scenario.json", code);
  if (is_root(replay.directory)) {
    replay.seconds = {replay.directory};
    return replay;
  }
  std::vector<std::pair<unsigned, std::filesystem::path>> found;
  code.clear();
  for (std::filesystem::directory_iterator at(replay.directory, code), end; !code && at != end; at.increment(code)) {
    const auto second = whole_number(at->path().filename().native());
    if (second && is_root(at->path())) found.emplace_back(*second, at->path());
  }
  if (code) return error_of(directory, code.message());
  if (found.empty()) return error_of(directory, shape);
  if (found.size() > Replay::seconds_max)
    return error_of(directory, fmt::format("{} seconds, expected at most {}", found.size(), Replay::seconds_max));
  std::sort(found.begin(), found.end());
  for (auto& [second, path] : found)
    replay.seconds.push_back(std::move(path));
  return replay;
}

config::Settings settings_of_recording(config::Settings settings) {
  Roots roots{"proc", "sys", "sys/fs/cgroup", ".", settings.roots.nvml, {}};
  std::error_code ignored;
  if (roots.nvml == Roots{}.nvml) roots.nvml.clear();
  if (roots.nvml.has_parent_path()) roots.nvml = std::filesystem::absolute(roots.nvml, ignored);
  settings.roots = std::move(roots);
  settings.storage.enabled = false;
  config::CollectorSettings& textfile = settings.collectors["textfile"];
  const std::filesystem::path named = textfile.options.text("directory");
  if (!named.empty()) textfile.options.set("directory", ("." / named.relative_path()).native());
  return settings;
}

Result<void> enter(const std::filesystem::path& second) {
  if (::chdir(second.c_str()) == 0) return {};
  const int number = errno;
  return error_of(second, std::generic_category().message(number));
}

}  // namespace perjoule
