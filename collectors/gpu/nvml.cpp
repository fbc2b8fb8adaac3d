// NVIDIA GPUs through the driver's own library, libnvidia-ml.so.1. One probe, and so one lane, per board: on a failing
// GPU every call can take seconds or never return.
//
// Sources: NVML API Reference (docs.nvidia.com/deploy/nvml-api); what a reading means on which generation: Yang et al.,
// "Accurate and Convenient Energy Measurements for GPUs", SC24 (arXiv 2312.02741).
//
// Boards are found on the PCI bus first: discovery then makes no NVML call for a board that already has a probe, and
// does not wake a suspended one. Where sysfs shows none (some containers) they are found by NVML's index, and when the
// number of boards has changed every board is asked.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "collectors/collector.hpp"
#include "collectors/gpu/metrics.hpp"
#include "collectors/gpu/nvml_gpu.hpp"
#include "collectors/gpu/pci.hpp"
#include "collectors/inventory.hpp"

namespace perjoule {

namespace {

constexpr std::uint32_t boards_max = 256;

// A board that discovery found. One without a UUID gets no probe: it has never answered, and is suspended or fails now.
struct Candidate {
  std::string address;
  std::string uuid;
  std::filesystem::path runtime_status;
  bool watched = false;
  bool asleep = false;
  bool integrates = false;  // before Volta there is no energy counter
};

bool is_watched(const DiscoveryContext& context, const std::string& uuid) {
  return !uuid.empty() && std::find(context.watched.begin(), context.watched.end(), uuid) != context.watched.end();
}

std::string uuid_of(const nvml::Api& api, nvml::Device device) {
  if (api.device_uuid == nullptr) return {};
  return nvml::text_of([&](char* text, std::uint32_t size) { return api.device_uuid(device, text, size); });
}

void describe(const nvml::Api& api, nvml::Device device, Candidate& candidate) {
  candidate.uuid = uuid_of(api, device);
  std::uint32_t architecture = nvml::architecture_unknown;
  if (api.device_architecture != nullptr && api.device_architecture(device, &architecture) == nvml::Return::success) {
    candidate.integrates = architecture < nvml::volta;
  }
}

std::vector<Candidate> on_bus(const Roots& roots, const DiscoveryContext& context) {
  std::vector<Candidate> candidates;
  std::vector<std::string> addresses;
  for (const pci::Function& function : pci::gpus(roots.sysfs, "0x10de", "nvidia")) {
    Candidate candidate{function.address,        context.inventory->uuid_at(function.address),
                        function.runtime_status, false,
                        function.asleep,         false};
    candidate.watched = is_watched(context, candidate.uuid);
    candidates.push_back(std::move(candidate));
    addresses.push_back(function.address);
  }
  context.inventory->on_bus("nvml", std::move(addresses));
  return candidates;
}

// Reads the UUID and architecture of each board that answers, which may have replaced the one known at its address.
// Returns the first error of those that do not.
std::optional<Error> ask(const nvml::Api& api, std::vector<Candidate>& candidates) {
  std::optional<Error> error;
  for (Candidate& candidate : candidates) {
    if (candidate.watched || candidate.asleep) continue;
    const Result<nvml::Device> device = nvml::find_board(api, candidate.address);
    if (device) {
      describe(api, *device, candidate);
    } else if (!error) {
      error = device.error();
    }
  }
  return error;
}

Result<std::vector<Candidate>> by_index(const nvml::Api& api, const DiscoveryContext& context) {
  std::uint32_t boards = 0;
  const nvml::Return counted = api.device_count != nullptr ? api.device_count(&boards) : nvml::Return::not_supported;
  if (counted != nvml::Return::success) return nvml::error_of(counted, "nvmlDeviceGetCount_v2", {});
  std::vector<Candidate> candidates;
  if (boards == context.watched.size()) return candidates;
  for (std::uint32_t i = 0; i < std::min(boards, boards_max); ++i) {
    nvml::Device device = nullptr;
    nvml::PciInfo pci{};
    if (api.device_by_index(i, &device) != nvml::Return::success || api.device_pci == nullptr) continue;
    if (api.device_pci(device, &pci) != nvml::Return::success) continue;
    Candidate candidate;
    candidate.address = nvml::kernel_address(pci);
    describe(api, device, candidate);
    candidate.watched = is_watched(context, candidate.uuid);
    candidates.push_back(std::move(candidate));
  }
  return candidates;
}

// A missing library is `absent`, since most hosts have no NVIDIA GPU; with boards on the host it gets a remedy. An
// unloaded driver (`broken`) is an error only if there are boards.
Error explain(Error error, bool boards) {
  if (error.fault == Fault::absent && boards && error.remedy.empty()) {
    error.remedy =
        "install the NVML library of the running driver's version (Debian: libnvidia-ml1; Ubuntu: "
        "libnvidia-compute-NNN)";
  }
  if (error.fault == Fault::broken && !boards) error.fault = Fault::absent;
  return error;
}

std::vector<Probe> probes_of(const std::shared_ptr<const nvml::Session>& session, const DiscoveryContext& context,
                             const std::vector<Candidate>& candidates) {
  std::vector<Inventory::Seen> seen;
  for (const Candidate& candidate : candidates)
    seen.push_back({candidate.address, candidate.uuid});
  const std::vector<unsigned> slots = context.inventory->place(seen);
  std::vector<Probe> probes;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& candidate = candidates[i];
    if (candidate.watched || candidate.uuid.empty()) continue;
    nvml::Board board{{fmt::format("{}", slots[i]), candidate.uuid}, candidate.address, {}};
    if (!candidate.runtime_status.empty()) board.runtime_status = candidate.runtime_status;
    probes.push_back({candidate.uuid, std::make_unique<nvml::Gpu>(session, std::move(board)), candidate.integrates});
  }
  return probes;
}

Result<std::vector<Probe>> make_nvml(const Options&, const Roots& roots, const DiscoveryContext& context) {
  std::vector<Candidate> candidates = on_bus(roots, context);
  const bool has_bus = !candidates.empty();
  const auto all = [&](auto member) {
    return has_bus && std::all_of(candidates.begin(), candidates.end(), [&](const Candidate& c) { return c.*member; });
  };
  if (all(&Candidate::watched)) return std::vector<Probe>{};
  const bool sleeper = std::any_of(candidates.begin(), candidates.end(), [](const Candidate& c) { return c.asleep; });

  const auto session = nvml::Session::open(roots.nvml, !sleeper);
  if (!session) return explain(session.error(), context.inventory->expected() > 0);
  const nvml::Api& api = (*session)->api();
  std::optional<Error> error;
  if (has_bus) {
    error = ask(api, candidates);
  } else {
    Result<std::vector<Candidate>> found = by_index(api, context);
    if (!found) return explain(found.error(), context.inventory->expected() > 0);
    candidates = std::move(*found);
  }
  std::vector<Probe> probes = probes_of(*session, context, candidates);
  if (probes.empty() && context.watched.empty()) {
    if (error) return *std::move(error);
    return Error{Fault::absent, has_bus ? "every GPU is runtime-suspended" : "the driver reports no GPU"};
  }
  return probes;
}

constexpr std::array<const Metric*, 22> metrics = {&gpu_info,
                                                   &gpu_power,
                                                   &gpu_power_instant,
                                                   &gpu_module_power,
                                                   &gpu_power_limit,
                                                   &gpu_power_limit_default,
                                                   &gpu_power_limit_min,
                                                   &gpu_power_limit_max,
                                                   &gpu_energy,
                                                   &gpu_temperature,
                                                   &gpu_temperature_limit,
                                                   &gpu_thermal_margin,
                                                   &gpu_utilization,
                                                   &gpu_engine_utilization,
                                                   &gpu_memory_used,
                                                   &gpu_memory_total,
                                                   &gpu_clock,
                                                   &gpu_throttle_active,
                                                   &gpu_throttle_seconds,
                                                   &gpu_throttled_seconds,
                                                   &gpu_processes,
                                                   &gpu_clock_idle};
constexpr std::array options = {
    Option{.key = "expected",
           .type = OptionType::integer,
           .fallback = "",
           .help = "Number of GPUs that this host should have; without it the most that were ever seen at once "
                   "(perjouled accept-inventory lowers that).",
           .min = 0,
           .max = 256},
};

}  // namespace

extern const Entry nvml_entry;
const Entry nvml_entry = {
    .name = "nvml",
    .help =
        "Power, energy, temperatures, utilisation, memory, clocks and throttling of NVIDIA GPUs, from the driver's "
        "library libnvidia-ml.so.1 (NVML).",
    .metrics = metrics,
    .options = options,
    .make_numbered = make_nvml,
};

}  // namespace perjoule
