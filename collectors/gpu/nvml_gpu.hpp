// One GPU through NVML: the collector that all readings of a board go through.
//
// sample() and everything below run on the GPU's lane. Owns its state and shares the session, which stays open as long
// as any board uses it. Errors: broken when another board is at its place; else the one that nvml_api.cpp maps NVML's
// return code to.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "collectors/collector.hpp"
#include "collectors/gpu/nvml_power.hpp"
#include "collectors/gpu/nvml_processes.hpp"
#include "collectors/gpu/nvml_session.hpp"
#include "collectors/gpu/nvml_throttle.hpp"
#include "collectors/sysfs.hpp"

namespace perjoule::nvml {

// Nanoseconds of a monotonic clock; tests pass their own.
using Now = std::int64_t (*)();
[[nodiscard]] std::int64_t steady_ns();

struct Board {
  Labels labels;
  Place place;
  std::string address;                                  // "0000:1b:00.0"; "" where the board has none
  std::optional<std::filesystem::path> runtime_status;  // sysfs file; none where the kernel has none
};

// Finds the board's handle at the first sample, and reads its static data then and every ten minutes. A board that the
// kernel has runtime-suspended is not touched, since a call would wake it: the sample is empty and not an error.
class Gpu final : public Collector {
 public:
  Gpu(std::shared_ptr<const Session> session, Board board, Processes processes = {{}, {}}, Now now = steady_ns);
  [[nodiscard]] Result<void> sample(Batch& batch) override;

 private:
  // Static data of a board, read again every ten minutes.
  struct Facts {
    std::string uuid, name, driver_version, vbios_version;
    struct Limit {
      std::string_view sensor, limit;
      std::optional<std::int64_t> degrees;
    };
    std::array<Limit, 4> limits;
    std::int64_t at_ns = 0;
  };
  [[nodiscard]] bool asleep();
  Result<void> bind();
  [[nodiscard]] Error another_board(const std::string& uuid) const;
  void read_facts(Tick& tick);
  void show_facts(Tick& tick) const;
  void read_thermal(Tick& tick);
  void read_utilization(Tick& tick);
  void read_memory(Tick& tick);
  void read_clocks(Tick& tick);

  std::shared_ptr<const Session> session_;
  Board board_;
  Now now_;
  std::optional<sysfs::File> runtime_status_;
  Device device_ = nullptr;
  std::optional<Error> unbound_;
  std::int64_t bind_again_ns_ = 0;
  std::optional<Facts> facts_;
  Fields fields_;
  std::optional<Power> power_;
  Throttle throttle_;
  Processes processes_;
  Feature temperature_, margin_, utilization_, memory_, memory_v2_;
  std::array<Feature, 4> thresholds_, engines_;
  std::array<Feature, 3> clocks_;
};

}  // namespace perjoule::nvml
