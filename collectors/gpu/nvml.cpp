// NVIDIA GPUs through the driver's own library, libnvidia-ml.so.1. One probe, and so one lane, per board: on a failing
// GPU every call can take seconds or never return.
//
// Sources: NVML API Reference (docs.nvidia.com/deploy/nvml-api); what a reading means on which generation: Yang et al.,
// "Accurate and Convenient Energy Measurements for GPUs", SC24 (arXiv 2312.02741).
//
// Discovery calls no board. It lists the PCI functions (where sysfs shows none, as in some containers, it asks NVML
// only for their number), initialises NVML without attaching, and leaves it to each board's own lane to ask the board
// for its UUID. So a board that hangs costs nothing but itself, at the start too, and a suspended one is not woken.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "collectors/collector.hpp"
#include "collectors/gpu/metrics.hpp"
#include "collectors/gpu/nvml_gpu.hpp"
#include "collectors/gpu/pci.hpp"
#include "collectors/inventory.hpp"

namespace perjoule {

namespace {

constexpr std::uint32_t boards_max = 256;

using SharedSession = std::shared_ptr<const nvml::Session>;

// A board that discovery found.
struct Candidate {
  nvml::Place place;
  std::string uuid;  // of the board that last answered there; "" when none did
  std::filesystem::path runtime_status;
  bool asleep = false;
};

// The name under which a board shows until it has been asked for its UUID.
struct Setup {
  nvml::Processes processes;
  std::optional<std::size_t> expected;  // as configured
};

std::string name_of(const Candidate& candidate) {
  return candidate.uuid.empty() ? nvml::name(candidate.place) : candidate.uuid;
}

bool is_watched(const DiscoveryContext& context, const std::string& device) {
  return std::find(context.watched.begin(), context.watched.end(), device) != context.watched.end();
}

std::vector<Candidate> on_bus(const Roots& roots, Inventory& inventory) {
  std::vector<Candidate> candidates;
  std::vector<std::string> addresses;
  std::vector<Inventory::Seen> seen;
  for (const pci::Function& function : pci::gpus(roots.sysfs, "0x10de", "nvidia")) {
    const std::string uuid = inventory.uuid_at(function.address);
    Candidate candidate;  // assigned, as g++ 12 at -O3 takes a temporary's strings for uninitialised
    candidate.place.address = function.address;
    candidate.uuid = uuid;
    candidate.runtime_status = function.runtime_status;
    candidate.asleep = function.asleep;
    candidates.push_back(std::move(candidate));
    addresses.push_back(function.address);
    seen.push_back({function.address, uuid});
  }
  inventory.on_bus("nvml", std::move(addresses));
  inventory.place(seen);  // numbers in PCI order, whichever board answers first
  return candidates;
}

// NVML's indices, which nvidia-smi shows, are in the order of the PCI addresses. So when it lists as many boards as
// are known, each index has a known UUID; a board that does not answer then shows under it.
std::vector<Candidate> by_index(std::uint32_t boards, const DiscoveryContext& context) {
  std::vector<Inventory::Board> known = context.inventory->boards();
  std::sort(known.begin(), known.end(), [](const auto& a, const auto& b) { return a.address < b.address; });
  std::vector<Candidate> candidates;
  for (std::uint32_t i = 0; i < std::min(boards, boards_max); ++i) {
    Candidate candidate{{"", i}, known.size() == boards ? known[i].uuid : "", {}, false};
    if (is_watched(context, candidate.uuid)) candidate.uuid.clear();  // the order has changed: it is asked
    candidates.push_back(std::move(candidate));
  }
  return candidates;
}

std::string uuid_of(const nvml::Api& api, nvml::Device device) {
  return nvml::text_of([&](char* text, std::uint32_t size) {
    return api.device_uuid == nullptr ? nvml::Return::function_not_found : api.device_uuid(device, text, size);
  });
}

// The address of a board found by index; "" where it has none.
std::string address_of(const nvml::Api& api, nvml::Device device) {
  nvml::PciInfo pci{};
  if (api.device_pci == nullptr || api.device_pci(device, &pci) != nvml::Return::success) return {};
  return nvml::kernel_address(pci);
}

// Before Volta there is no energy counter.
bool integrates(const nvml::Api& api, nvml::Device device) {
  std::uint32_t architecture = nvml::architecture_unknown;
  return api.device_architecture != nullptr &&
         api.device_architecture(device, &architecture) == nvml::Return::success && architecture < nvml::volta;
}

Probe probe_of(const SharedSession& session, Inventory& inventory, const Setup& setup, Candidate candidate,
               std::string address) {
  std::optional<unsigned> slot;
  if (candidate.place.address.empty()) slot = candidate.place.index;
  const Inventory::Seen seen{address, candidate.uuid, slot};
  nvml::Board board{{fmt::format("{}", inventory.place(std::span(&seen, 1)).front()), candidate.uuid},
                    candidate.place,
                    std::move(address),
                    {}};
  if (!candidate.runtime_status.empty()) board.runtime_status = candidate.runtime_status;
  return {candidate.uuid, std::make_unique<nvml::Gpu>(session, std::move(board), setup.processes)};
}

// Runs on the board's own lane.
Result<Probe> identify(const SharedSession& session, Inventory& inventory, const Setup& setup, Candidate candidate) {
  if (candidate.asleep) return Error{Fault::absent, "runtime-suspended: it gets a number when it wakes"};
  const nvml::Api& api = session->api();
  const Result<nvml::Device> device = nvml::find_board(api, candidate.place);
  if (!device) {
    Error error = device.error();
    if (inventory.is_unexpected(candidate.place.address, setup.expected))
      error = {Fault::absent, error.what + "; it is not one of the expected GPUs"};
    return error;
  }
  candidate.uuid = uuid_of(api, *device);
  if (candidate.uuid.empty()) {
    return Error{Fault::transient, fmt::format("{}: nvmlDeviceGetUUID gave no UUID", nvml::name(candidate.place))};
  }
  const std::string& known = candidate.place.address;
  Probe probe = probe_of(session, inventory, setup, candidate, known.empty() ? address_of(api, *device) : known);
  probe.jitter = integrates(api, *device);
  return probe;
}

std::vector<Probe> probes_of(const SharedSession& session, const DiscoveryContext& context, const Setup& setup,
                             const std::vector<Candidate>& candidates) {
  std::vector<Probe> probes;
  for (const Candidate& candidate : candidates) {
    if (is_watched(context, name_of(candidate))) continue;
    if (candidate.asleep && !candidate.uuid.empty()) {  // it says who it is when it wakes
      probes.push_back(probe_of(session, *context.inventory, setup, candidate, candidate.place.address));
      continue;
    }
    Probe probe{name_of(candidate), nullptr};
    probe.identify = [session, inventory = context.inventory, setup, candidate] {
      return identify(session, *inventory, setup, candidate);
    };
    probes.push_back(std::move(probe));
  }
  return probes;
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

// The daemon passes efficiency.idle.ignore_processes; it is no key of this collector.
Result<std::vector<Probe>> make_nvml(const Options& options, const Roots& roots, const DiscoveryContext& context) {
  Setup setup{{roots.procfs, options.list("ignore_processes")}, {}};
  if (options.has("expected")) setup.expected = static_cast<std::size_t>(options.number("expected"));
  std::vector<Candidate> candidates = on_bus(roots, *context.inventory);
  const bool has_bus = !candidates.empty();
  DiscoveryCall::State call{"nvmlInit", {}};
  for (const Candidate& candidate : candidates) {
    if (!is_watched(context, name_of(candidate))) call.devices.push_back(name_of(candidate));
  }
  if (has_bus && call.devices.empty()) return std::vector<Probe>{};
  const bool sleeper = std::any_of(candidates.begin(), candidates.end(), [](const Candidate& c) { return c.asleep; });

  context.call->begin(std::move(call));
  const auto session = nvml::Session::open(roots.nvml, sleeper);
  if (!session) return explain(session.error(), context.inventory->expected() > 0);
  if (has_bus) return probes_of(*session, context, setup, candidates);
  const nvml::Api& api = (*session)->api();
  std::uint32_t boards = 0;
  context.call->begin({"nvmlDeviceGetCount_v2", {}});
  const nvml::Return counted = api.device_count != nullptr ? api.device_count(&boards) : nvml::Return::not_supported;
  if (counted != nvml::Return::success) {
    return explain(nvml::error_of(counted, "nvmlDeviceGetCount_v2", {}), context.inventory->expected() > 0);
  }
  if (boards == 0 && context.watched.empty()) return Error{Fault::absent, "the driver reports no GPU"};
  if (boards == context.watched.size()) return std::vector<Probe>{};
  return probes_of(*session, context, setup, by_index(boards, context));
}

constexpr std::array<const Metric*, 24> metrics = {&gpu_info,
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
                                                   &gpu_holding_processes,
                                                   &gpu_clock_idle,
                                                   &gpu_runtime_suspended};
constexpr std::array option_table = {
    Option{.key = "expected",
           .type = OptionType::integer,
           .fallback = "",
           .help = "Number of GPUs that this host should have, whatever the PCI bus shows (a container may use two of "
                   "eight); without it the most that were ever seen at once (perjouled accept-inventory lowers that).",
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
    .options = option_table,
    .make_numbered = make_nvml,
};

}  // namespace perjoule
