// How busy the CPUs of each package were between two reads of /proc/stat.
//
// Shared by the cpu collector and the power model. parse_cpu_times and busy_ratios are pure; read_topology and
// Utilization read files: lanes only, one thread at a time. Sources: Documentation/filesystems/proc.rst 1.7 (user,
// nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice, in ticks; user already includes guest, nice
// already includes guest_nice), Documentation/admin-guide/cputopology.rst.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/cpu_package.hpp"
#include "collectors/result.hpp"
#include "collectors/sysfs.hpp"
#include "config/roots.hpp"

namespace perjoule {

// Ticks since boot by state, in the order of the file: user, nice, system, idle, iowait, irq, softirq, steal.
struct CpuTimes {
  unsigned cpu = 0;
  std::array<std::uint64_t, 8> ticks = {};
};

// What stolen time counts as. busy: for utilisation, where stolen time is not available to this machine. idle: for the
// power model, where this machine did not use it.
enum class Steal : std::uint8_t { busy, idle };

// The cpuN lines up to the first line that does not start with "cpu", in ascending order, at most 8192. Lines that are
// malformed, out of order or truncated (no newline) are left out.
[[nodiscard]] std::vector<CpuTimes> parse_cpu_times(std::string_view text);

using Topology = std::map<unsigned, CpuPackage>;  // by CPU

// CPUs without a physical_package_id (offline; some containers) are left out; a package of -1 (some VMs) becomes 0.
// Where `dies` is set, and a package has more than one die, its CPUs are of their die.
[[nodiscard]] Topology read_topology(const std::filesystem::path& sysfs, bool dies);

// The package of a CPU; 0 where the topology does not contain it.
[[nodiscard]] CpuPackage package_of(const Topology& topology, unsigned cpu);

// Busy share, 0 to 1, of each package, over its CPUs that are in both snapshots: busy is all but idle and iowait. A
// package in which no tick passed is left out. The ticks of each state are compared by themselves, because some fall:
// iowait, which the kernel charges to the CPU where the task slept, and steal under some hypervisors. One that fell
// counts as no ticks.
struct BusyRatios {
  std::map<CpuPackage, double> packages;
  std::string fell;  // the first count that fell, but for iowait: "steal of cpu3 fell from 900 to 200"; "": none
};
[[nodiscard]] BusyRatios busy_ratios(std::span<const CpuTimes> before, std::span<const CpuTimes> after,
                                     const Topology& topology, Steal steal = Steal::busy);

// Busy ratios since the previous call; empty at the first call. Keeps /proc/stat open and reads only its head, because
// the interrupt line behind the CPU lines can be megabytes. Reads the topology again when CPUs came or went.
class Utilization {
 public:
  explicit Utilization(const Roots& roots, Steal steal = Steal::busy)
      : stat_(roots.procfs / "stat"), roots_(roots), steal_(steal) {}
  [[nodiscard]] Result<BusyRatios> sample();
  [[nodiscard]] const Topology& topology() const { return topology_; }
  // The CPUs that were online at the last call.
  [[nodiscard]] std::span<const CpuTimes> cpus() const { return previous_; }

 private:
  Result<std::vector<CpuTimes>> read();

  sysfs::File stat_;
  Roots roots_;
  Steal steal_;
  std::size_t head_bytes_ = 16 * 1024;
  std::vector<CpuTimes> previous_;
  Topology topology_;
};

}  // namespace perjoule
