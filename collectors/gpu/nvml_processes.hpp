// The processes that have a compute context on a board, and how many of them hold it: services of the host that keep a
// context on every GPU (nvidia-cuda-mps, nv-hostengine) or draw its desktop hold nothing.
//
// A process is known by its name in /proc/PID/comm, of which the kernel keeps 15 characters. One whose name cannot be
// read counts as holding. Lanes only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "collectors/gpu/nvml_fields.hpp"
#include "collectors/gpu/nvml_throttle.hpp"

namespace perjoule::nvml {

class Processes {
 public:
  // `ignored`: prefixes of names.
  Processes(std::filesystem::path procfs, std::vector<std::string> ignored)
      : procfs_(std::move(procfs)), ignored_(std::move(ignored)) {}
  void read(Tick& tick, const Labels& labels);

 private:
  [[nodiscard]] bool is_ignored(std::uint32_t pid, std::int64_t now_ns);

  std::filesystem::path procfs_;
  std::vector<std::string> ignored_;
  Feature feature_;
  std::vector<ProcessInfo> infos_;
  std::map<std::uint32_t, bool> known_;  // by pid; read again each minute, because pids are used again
  std::int64_t known_at_ns_ = 0;
};

}  // namespace perjoule::nvml
