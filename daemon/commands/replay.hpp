// A recorded host for `once --replay=DIR`, read in place of the one that this process runs on.
//
// DIR is a root directory: its `sys` and `proc` are the host's /sys and /proc (one of them is enough). Where values
// move, DIR holds a folder for each second instead, named 0, 1, 2, .., each of them such a root. Its GPUs are those of
// DIR/scenario.json, which the stand-in library of a build tree plays (tests/nvml/README.md). Main thread only.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "collectors/result.hpp"
#include "config/settings.hpp"

namespace perjoule {

struct Replay {
  static constexpr std::size_t seconds_max = 3600;
  std::filesystem::path directory;             // absolute
  std::vector<std::filesystem::path> seconds;  // the roots, absolute, in order; at least one
  bool has_scenario = false;
};

// Errors: DIR is not such a directory, or has more than seconds_max folders.
[[nodiscard]] Result<Replay> open_replay(const std::filesystem::path& directory);

// The settings under which only the recorded host is read: its paths lie below the working directory, which is the root
// of a second (enter()); directories that the configuration names are taken there too; there is no ledger. A directory
// from elsewhere must not bring code along, so the library for GPUs is used only where --path.nvml names one.
[[nodiscard]] config::Settings settings_of_recording(config::Settings settings);

// Makes the root of a second the working directory of this process. Relative paths of the caller change their meaning.
[[nodiscard]] Result<void> enter(const std::filesystem::path& second);

}  // namespace perjoule
