// What a RAPL counter, a utilisation and a modelled power are of: a CPU package, or one die of it where each die has a
// counter of its own.
//
// Intel packages with several dies (Cascade Lake-AP) have a counter, and a powercap zone "package-N-die-M", per die.
// AMD and Hygon count the whole socket: kernels before 6.10 nevertheless show a zone per die, each with the socket's
// counter (kernel 26096aed255f, "powercap: intel_rapl: Fix the energy-pkg event for AMD CPUs"). read_cpu_vendor
// reads a file: lanes only, or before the loop runs. The rest is pure.
#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace perjoule {

struct CpuPackage {
  unsigned number = 0;
  std::optional<unsigned> die = {};
  friend auto operator<=>(const CpuPackage&, const CpuPackage&) = default;
};

// As the labels have it: "0", "1-die-0".
[[nodiscard]] std::string label(const CpuPackage& package);
// Of a label, or of what follows "package-" in the name of a powercap zone. Nothing for other text.
[[nodiscard]] std::optional<CpuPackage> parse_cpu_package(std::string_view text);

enum class CpuVendor : std::uint8_t { intel, amd, other };  // amd: Hygon too

// By vendor_id of /proc/cpuinfo; other where it has none (ARM) or cannot be read.
[[nodiscard]] CpuVendor read_cpu_vendor(const std::filesystem::path& procfs);

}  // namespace perjoule
