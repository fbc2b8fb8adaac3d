#include "collectors/gpu/pci.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include "collectors/sysfs.hpp"

namespace perjoule::pci {

namespace {

constexpr std::size_t gpus_max = 256;

bool has(const std::filesystem::path& directory, std::string_view file, std::string_view begins) {
  const Result<std::string> text = sysfs::read_text(directory / file);
  return text && text->starts_with(begins);
}

bool belongs_to(const std::filesystem::path& device, std::string_view driver) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::read_symlink(device / "driver", error);
  return error || target.filename() == driver;
}

}  // namespace

std::vector<Function> gpus(const std::filesystem::path& sysfs, std::string_view vendor, std::string_view driver) {
  std::vector<Function> found;
  const std::filesystem::path root = sysfs / "bus/pci/devices";
  const auto addresses = sysfs::list(root);
  if (!addresses) return found;
  for (const std::string& address : *addresses) {
    const std::filesystem::path device = root / address;
    if (found.size() >= gpus_max || !has(device, "vendor", vendor)) continue;
    if (!has(device, "class", "0x0300") && !has(device, "class", "0x0302")) continue;
    std::error_code ignored;
    if (!belongs_to(device, driver) || std::filesystem::exists(device / "physfn", ignored)) continue;
    Function function{address, {}, false};
    const std::filesystem::path status = device / "power/runtime_status";
    if (std::filesystem::exists(status, ignored)) {
      function.asleep = has(device, "power/runtime_status", "suspend");
      function.runtime_status = status;
    }
    found.push_back(std::move(function));
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.address < b.address; });
  return found;
}

}  // namespace perjoule::pci
