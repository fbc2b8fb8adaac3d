// Where the kernel's files and NVML are; tests and containers set other paths (--path.*). Values only; any thread.
#pragma once

#include <filesystem>

namespace perjoule {

struct Roots {
  std::filesystem::path procfs = "/proc";
  std::filesystem::path sysfs = "/sys";
  std::filesystem::path cgroupfs = "/sys/fs/cgroup";
  std::filesystem::path rootfs = "/";
  std::filesystem::path nvml = "libnvidia-ml.so.1";
  friend bool operator==(const Roots&, const Roots&) = default;
};

}  // namespace perjoule
