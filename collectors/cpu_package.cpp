#include "collectors/cpu_package.hpp"

#include <fmt/format.h>

#include "collectors/sysfs.hpp"

namespace perjoule {

namespace {

constexpr std::size_t cpuinfo_head_bytes = 1024;  // vendor_id is in the second line
constexpr std::string_view die_mark = "-die-";

std::optional<unsigned> parse_number(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  const auto number = sysfs::parse_unsigned(text);
  if (!number || *number > INT32_MAX) return std::nullopt;
  return static_cast<unsigned>(*number);
}

}  // namespace

std::string label(const CpuPackage& package) {
  return package.die ? fmt::format("{}{}{}", package.number, die_mark, *package.die) : fmt::to_string(package.number);
}

std::optional<CpuPackage> parse_cpu_package(std::string_view text) {
  const std::size_t mark = text.find(die_mark);
  const auto number = parse_number(text.substr(0, mark));
  if (!number) return std::nullopt;
  if (mark == std::string_view::npos) return CpuPackage{*number, {}};
  const auto die = parse_number(text.substr(mark + die_mark.size()));
  if (!die) return std::nullopt;
  return CpuPackage{*number, die};
}

CpuVendor read_cpu_vendor(const std::filesystem::path& procfs) {
  sysfs::File cpuinfo(procfs / "cpuinfo");
  const Result<std::string_view> text = cpuinfo.head(cpuinfo_head_bytes);
  if (!text) return CpuVendor::other;
  const std::size_t line = text->find("vendor_id");
  const std::string_view vendor =
      line == std::string_view::npos ? std::string_view() : text->substr(line, text->find('\n', line) - line);
  if (vendor.ends_with("GenuineIntel")) return CpuVendor::intel;
  if (vendor.ends_with("AuthenticAMD") || vendor.ends_with("HygonGenuine")) return CpuVendor::amd;
  return CpuVendor::other;
}

}  // namespace perjoule
