#include "collectors/gpu/nvml_gpu.hpp"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "collectors/gpu/metrics.hpp"

namespace perjoule::nvml {

namespace {

constexpr std::int64_t degrees_min = -50;
constexpr std::int64_t degrees_max = 200;
constexpr std::uint32_t megahertz_max = 20'000;
constexpr std::uint64_t memory_max = std::uint64_t{1} << 50U;
constexpr std::int64_t kilo_per_mega = 1000;

constexpr std::int64_t bind_again_after_ns = 10'000'000'000;

bool session_is_dead(const Api& api) {
  std::uint32_t boards = 0;
  return api.device_count == nullptr || api.device_count(&boards) != Return::success;
}

// Whether nvmlDeviceGetPowerUsage returns a one-second mean. Ampere and newer boards do; older boards and GA100 (Ampere
// with compute capability 8.0) return an instantaneous reading.
bool usage_is_mean(const Api& api, Device device) {
  std::uint32_t architecture = architecture_unknown;
  if (api.device_architecture == nullptr || api.device_architecture(device, &architecture) != Return::success) {
    return false;
  }
  if (architecture < ampere || architecture == architecture_unknown) return false;
  std::int32_t major = 0, minor = 0;
  if (api.device_compute_capability == nullptr ||
      api.device_compute_capability(device, &major, &minor) != Return::success) {
    return architecture > ampere;
  }
  return major != 8 || minor != 0;
}

}  // namespace

std::int64_t steady_ns() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Gpu::Gpu(std::shared_ptr<const Session> session, Board board, Processes processes, Now now)
    : session_(std::move(session)), board_(std::move(board)), now_(now), processes_(std::move(processes)) {
  if (board_.runtime_status) runtime_status_.emplace(*board_.runtime_status);
}

bool Gpu::asleep() {
  if (!runtime_status_) return false;
  const Result<std::string_view> status = runtime_status_->text();
  return status && (*status == "suspended" || *status == "suspending");
}

// The probe is then created again, for the board that is there now.
Error Gpu::another_board(const std::string& uuid) const {
  return {Fault::broken, fmt::format("another board, {}, is at {}", uuid, name(board_.place))};
}

// A board that does not answer is tried again every ten seconds; in between its last error is returned.
Result<void> Gpu::bind() {
  const std::int64_t now_ns = now_();
  if (unbound_ && now_ns < bind_again_ns_) return *unbound_;
  const Api& api = session_->api();
  const Result<Device> found = find_board(api, board_.place);
  if (!found) {
    Error error = found.error();
    bind_again_ns_ = now_ns + bind_again_after_ns;
    // The session still works, so the fault is the board's: creating the probe again would not help.
    if (error.fault == Fault::broken && !session_is_dead(api)) error.fault = Fault::transient;
    unbound_ = error;
    return error;
  }
  // The board may have been replaced since the last discovery.
  const std::string uuid = text_of([&](char* text, std::uint32_t size) {
    return api.device_uuid != nullptr ? api.device_uuid(*found, text, size) : Return::function_not_found;
  });
  if (!uuid.empty() && uuid != board_.labels.uuid) {
    return another_board(uuid);
  }
  device_ = *found;
  power_.emplace(usage_is_mean(api, device_));
  fields_.reasons_at(reason_fields_of(text_of([&](char* text, std::uint32_t size) {
    return api.system_driver_version != nullptr ? api.system_driver_version(text, size) : Return::function_not_found;
  })));
  return {};
}

Result<void> Gpu::sample(Batch& batch) {
  if (asleep()) {
    batch.add(gpu_runtime_suspended, count(1), board_.labels.slot, board_.labels.uuid);
    return {};
  }
  if (device_ == nullptr) {
    if (const Result<void> bound = bind(); !bound) return bound.error();
  }
  Tick tick{batch, session_->api(), device_, board_.address, now_(), {}, false};
  fields_.read(tick);
  power_->read(tick, fields_, board_.labels);
  read_utilization(tick);
  read_memory(tick);
  read_clocks(tick);
  throttle_.read(tick, fields_, board_.labels);
  read_facts(tick);
  read_thermal(tick);
  processes_.read(tick, board_.labels);
  if (tick.over) return *std::move(tick.error);
  if (facts_ && !facts_->uuid.empty() && facts_->uuid != board_.labels.uuid) return another_board(facts_->uuid);
  if (!batch.readings().empty()) {
    show_facts(tick);
    return {};
  }
  if (tick.error) return *std::move(tick.error);
  return Error{Fault::transient, fmt::format("{}: no NVML query succeeded", name(board_.place))};
}

void Gpu::read_facts(Tick& tick) {
  if (tick.over || (facts_ && tick.now_ns - facts_->at_ns < ask_again_ns)) return;
  const Api& api = tick.api;
  const auto text = [&](auto* function) {
    return text_of([&](char* to, std::uint32_t size) {
      return function == nullptr ? Return::function_not_found : function(tick.device, to, size);
    });
  };
  Facts facts;
  facts.at_ns = tick.now_ns;
  facts.uuid = text(api.device_uuid);
  facts.name = text(api.device_name);
  facts.vbios_version = text(api.device_vbios);
  facts.driver_version = text_of([&](char* to, std::uint32_t size) {
    return api.system_driver_version == nullptr ? Return::function_not_found : api.system_driver_version(to, size);
  });
  facts.limits = {{{"core", "slowdown", {}},
                   {"core", "shutdown", {}},
                   {"core", "max_operating", {}},
                   {"memory", "max_operating", {}}}};
  constexpr std::array kinds = {Threshold::slowdown, Threshold::shutdown, Threshold::core_max, Threshold::memory_max};
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    std::uint32_t degrees = 0;
    constexpr std::string_view what = "nvmlDeviceGetTemperatureThreshold";
    if (!tick.ask(thresholds_[i], what, api.device_temperature_threshold, kinds[i], &degrees)) continue;
    if (degrees > 0 && degrees <= degrees_max) {
      facts.limits[i].degrees = degrees;
    } else if (degrees != 0) {  // 0: the board has no such threshold
      tick.refuse(what, fmt::format("{} C", degrees), fmt::format("1 to {} C", degrees_max));
    }
  }
  facts_ = std::move(facts);
}

void Gpu::show_facts(Tick& tick) const {
  const auto& [slot, uuid] = board_.labels;
  tick.batch.add(gpu_runtime_suspended, count(0), slot, uuid);
  if (!facts_) return;
  tick.batch.add(gpu_info, count(1), slot, uuid, facts_->name, "nvidia", facts_->driver_version, facts_->vbios_version,
                 board_.address);
  for (const Facts::Limit& limit : facts_->limits) {
    if (!limit.degrees) continue;
    tick.batch.add(gpu_temperature_limit, celsius(static_cast<double>(*limit.degrees)), slot, uuid, limit.sensor,
                   limit.limit);
  }
}

void Gpu::read_thermal(Tick& tick) {
  const auto& [slot, uuid] = board_.labels;
  const auto plausible = [&](std::string_view what, std::int64_t degrees) {
    if (degrees >= degrees_min && degrees <= degrees_max) return true;
    tick.refuse(what, fmt::format("{} C", degrees), fmt::format("{} to {} C", degrees_min, degrees_max));
    return false;
  };
  std::uint32_t core = 0;
  const bool has_core =
      tick.ask(temperature_, "nvmlDeviceGetTemperature", tick.api.device_temperature, Sensor::core, &core) &&
      plausible("core temperature", core);
  if (has_core) tick.batch.add(gpu_temperature, celsius(core), slot, uuid, "core");
  const auto memory = fields_[Field::memory_temperature];
  if (memory && plausible("memory temperature", *memory)) {
    tick.batch.add(gpu_temperature, celsius(static_cast<double>(*memory)), slot, uuid, "memory");
  }
  MarginTemperature margin{struct_version<MarginTemperature>(1), 0};
  if (tick.ask(margin_, "nvmlDeviceGetMarginTemperature", tick.api.device_margin_temperature, &margin)) {
    // Both are on one scale, with 0 at the largest operating temperature; the slowdown is at about -2.
    const std::int64_t slowdown = fields_[Field::slowdown_margin].value_or(0);
    if (slowdown < -degrees_max || slowdown > degrees_max) {
      tick.refuse("slowdown margin", fmt::format("{} C", slowdown),
                  fmt::format("{} to {} C", -degrees_max, degrees_max));
    } else if (plausible("thermal margin", margin.margin - slowdown)) {
      tick.batch.add(gpu_thermal_margin, celsius(static_cast<double>(margin.margin - slowdown)), slot, uuid);
    }
  } else if (margin_.missing(tick.now_ns) && has_core && facts_ && facts_->limits[0].degrees) {
    const std::int64_t distance = *facts_->limits[0].degrees - core;
    if (plausible("thermal margin", distance)) {
      tick.batch.add(gpu_thermal_margin, celsius(static_cast<double>(distance)), slot, uuid);
    }
  }
}

void Gpu::read_utilization(Tick& tick) {
  const auto& [slot, uuid] = board_.labels;
  const auto share = [&](std::string_view what, std::uint32_t percent) -> std::optional<Ratio> {
    if (percent <= 100) return ratio(percent / 100.0);
    tick.refuse(what, fmt::format("{} %", percent), "0 to 100 %");
    return std::nullopt;
  };
  Utilization busy{};
  if (tick.ask(utilization_, "nvmlDeviceGetUtilizationRates", tick.api.device_utilization, &busy)) {
    if (const auto of = share("utilization", busy.gpu)) tick.batch.add(gpu_utilization, *of, slot, uuid);
    if (const auto of = share("memory utilization", busy.memory)) {
      tick.batch.add(gpu_engine_utilization, *of, slot, uuid, "memory");
    }
  }
  const struct {
    std::string_view name, what;
    decltype(Api::device_encoder) call;
  } engines[] = {{"encoder", "nvmlDeviceGetEncoderUtilization", tick.api.device_encoder},
                 {"decoder", "nvmlDeviceGetDecoderUtilization", tick.api.device_decoder},
                 {"jpeg", "nvmlDeviceGetJpgUtilization", tick.api.device_jpeg},
                 {"ofa", "nvmlDeviceGetOfaUtilization", tick.api.device_ofa}};
  for (std::size_t i = 0; i < std::size(engines); ++i) {
    std::uint32_t percent = 0, period_us = 0;
    if (!tick.ask(engines_[i], engines[i].what, engines[i].call, &percent, &period_us)) continue;
    if (const auto of = share(engines[i].what, percent)) {
      tick.batch.add(gpu_engine_utilization, *of, slot, uuid, engines[i].name);
    }
  }
}

void Gpu::read_memory(Tick& tick) {
  const auto& [slot, uuid] = board_.labels;
  MemoryV2 memory{};
  memory.version = struct_version<MemoryV2>(2);
  if (!tick.ask(memory_v2_, "nvmlDeviceGetMemoryInfo_v2", tick.api.device_memory_v2, &memory)) {
    if (!memory_v2_.missing(tick.now_ns)) return;
    Memory first{};
    if (!tick.ask(memory_, "nvmlDeviceGetMemoryInfo", tick.api.device_memory, &first)) return;
    memory.total = first.total;
    memory.used = first.used;
  }
  if (memory.total == 0 || memory.total > memory_max || memory.used > memory.total) {
    tick.refuse("memory", fmt::format("{} of {} bytes used", memory.used, memory.total),
                fmt::format("total 1 to {} bytes, used at most the total", memory_max));
    return;
  }
  tick.batch.add(gpu_memory_used, bytes(static_cast<double>(memory.used)), slot, uuid);
  tick.batch.add(gpu_memory_total, bytes(static_cast<double>(memory.total)), slot, uuid);
}

void Gpu::read_clocks(Tick& tick) {
  constexpr struct {
    std::string_view name;
    Clock clock;
  } domains[] = {{"sm", Clock::sm}, {"memory", Clock::memory}, {"video", Clock::video}};
  for (std::size_t i = 0; i < std::size(domains); ++i) {
    std::uint32_t megahertz = 0;
    if (!tick.ask(clocks_[i], "nvmlDeviceGetClockInfo", tick.api.device_clock, domains[i].clock, &megahertz)) continue;
    if (megahertz > megahertz_max) {
      tick.refuse("clock", fmt::format("{} MHz", megahertz), fmt::format("0 to {} MHz", megahertz_max));
      continue;
    }
    tick.batch.add(gpu_clock, hertz_from_kilo(megahertz * kilo_per_mega), board_.labels.slot, board_.labels.uuid,
                   domains[i].name);
  }
}

}  // namespace perjoule::nvml
