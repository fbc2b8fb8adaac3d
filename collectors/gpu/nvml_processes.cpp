#include "collectors/gpu/nvml_processes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "collectors/gpu/metrics.hpp"
#include "collectors/sysfs.hpp"

namespace perjoule::nvml {

namespace {

constexpr std::uint32_t processes_max = 1'000'000;
constexpr std::uint32_t listed_max = 4096;  // beyond it only the number is known
constexpr std::uint32_t spare = 4;          // for processes that start between two calls
constexpr std::size_t name_max = 15;        // TASK_COMM_LEN of the kernel, without the NUL
constexpr std::int64_t name_again_ns = 60'000'000'000;

}  // namespace

bool Processes::is_ignored(std::uint32_t pid, std::int64_t now_ns) {
  if (now_ns - known_at_ns_ >= name_again_ns) {
    known_.clear();
    known_at_ns_ = now_ns;
  }
  const auto [found, added] = known_.try_emplace(pid, false);
  if (!added) return found->second;
  const auto name = sysfs::read_text(procfs_ / fmt::to_string(pid) / "comm");
  found->second = name && std::any_of(ignored_.begin(), ignored_.end(), [&](const std::string& prefix) {
                    return !prefix.empty() && name->starts_with(prefix.substr(0, name_max));
                  });
  return found->second;
}

void Processes::read(Tick& tick, const Labels& labels) {
  if (tick.over || feature_.missing(tick.now_ns)) return;
  Return result = Return::function_not_found;
  std::uint32_t count = 0;
  if (tick.api.device_compute_processes != nullptr) {
    // With too little room the driver only gives the number.
    const std::size_t room = ignored_.empty() ? 0 : infos_.size() / 2;
    count = static_cast<std::uint32_t>(room);
    result = tick.api.device_compute_processes(tick.device, &count, room == 0 ? nullptr : infos_.data());
    if (result == Return::insufficient_size && !ignored_.empty() && count <= listed_max) {
      // Twice the room that is named, in case the driver's structs are larger than those of the header.
      infos_.resize(2 * std::size_t{count + spare});
      count = static_cast<std::uint32_t>(infos_.size() / 2);
      result = tick.api.device_compute_processes(tick.device, &count, infos_.data());
    }
  }
  const bool is_listed = result == Return::success && count <= infos_.size();
  if (result == Return::insufficient_size) result = Return::success;
  if (!tick.good(result, "nvmlDeviceGetComputeRunningProcesses", feature_)) return;
  if (count > processes_max) {
    tick.refuse("processes", fmt::format("{}", count), fmt::format("0 to {}", processes_max));
    return;
  }
  std::uint32_t holding = count;
  for (std::uint32_t i = 0; is_listed && i < count; ++i)
    holding -= is_ignored(infos_[i].pid, tick.now_ns) ? 1U : 0U;
  tick.batch.add(gpu_processes, perjoule::count(count), labels.slot, labels.uuid);
  tick.batch.add(gpu_holding_processes, perjoule::count(holding), labels.slot, labels.uuid);
}

}  // namespace perjoule::nvml
