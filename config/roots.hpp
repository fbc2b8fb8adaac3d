// Where the kernel's files and NVML are; tests and containers set other paths (--path.*). Values only; any thread.
#pragma once

#include <filesystem>
#include <string>

namespace perjoule {

struct Roots {
  std::filesystem::path procfs = "/proc";
  std::filesystem::path sysfs = "/sys";
  std::filesystem::path cgroupfs = "/sys/fs/cgroup";
  std::filesystem::path rootfs = "/";
  std::filesystem::path nvml = "libnvidia-ml.so.1";
  // The systemd unit that remedies are for; empty: the one that this process runs in, if any. Set by `doctor` only.
  std::string unit = {};
  friend bool operator==(const Roots&, const Roots&) = default;
};

}  // namespace perjoule
