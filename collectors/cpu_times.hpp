// How busy the cpus of each package were between two looks at /proc/stat.
//
// Shared by the collector of utilisation and by the power model. parse_cpu_times and busy_ratios are pure;
// read_topology and Utilization read files: lanes only, one thread at a time. Source:
// Documentation/filesystems/proc.rst 1.7 (user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice, in
// ticks; guest time stands inside user a second time), Documentation/admin-guide/cputopology.rst.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "collectors/result.hpp"
#include "collectors/sysfs.hpp"
#include "config/roots.hpp"

namespace perjoule {

// Ticks since boot. `total` holds everything, `busy` all but idle and iowait. iowait is kept apart because the kernel
// lets it run backwards (it is booked on the cpu where the task slept); steal, when the hypervisor ran somebody else,
// is a part of busy: someone used the cpu.
struct CpuTimes {
  unsigned cpu = 0;
  std::uint64_t busy = 0;
  std::uint64_t total = 0;
  std::uint64_t iowait = 0;
  std::uint64_t steal = 0;
};

// What stolen time counts as: busy for who asks how much of the cpu is left, idle for who asks what this machine used.
enum class Steal : std::uint8_t { busy, idle };

// The cpuN lines up to the first line that is none, in ascending order of cpu. Lines that are malformed, out of order
// or cut (no newline) are left out: at most 8192.
[[nodiscard]] std::vector<CpuTimes> parse_cpu_times(std::string_view text);

using Topology = std::map<unsigned, unsigned>;  // cpu -> package

// Cpus without a physical_package_id (offline; some containers) are not in it; a package of -1 (some VMs) is 0.
[[nodiscard]] Topology read_topology(const std::filesystem::path& sysfs);

// The package of a cpu; 0 where the topology does not know it.
[[nodiscard]] unsigned package_of(const Topology& topology, unsigned cpu);

// Busy share, 0 to 1, of each package's cpus that are in both snapshots and have ticked; a package without one is
// absent.
[[nodiscard]] std::map<unsigned, double> busy_ratios(std::span<const CpuTimes> before, std::span<const CpuTimes> after,
                                                     const Topology& topology);

// Busy ratios since the last call; empty at the first. Keeps /proc/stat open and reads only its head (the interrupt
// line behind it can be megabytes). Reads the topology again when cpus came or went.
class Utilization {
 public:
  explicit Utilization(const Roots& roots, Steal steal = Steal::busy)
      : stat_(roots.procfs / "stat"), sysfs_(roots.sysfs), steal_(steal) {}
  [[nodiscard]] Result<std::map<unsigned, double>> sample();
  [[nodiscard]] const Topology& topology() const { return topology_; }
  // The cpus that were online at the last call.
  [[nodiscard]] std::span<const CpuTimes> cpus() const { return previous_; }

 private:
  Result<std::vector<CpuTimes>> read();

  sysfs::File stat_;
  std::filesystem::path sysfs_;
  Steal steal_;
  std::size_t head_bytes_ = 16 * 1024;
  std::vector<CpuTimes> previous_;
  Topology topology_;
};

}  // namespace perjoule
