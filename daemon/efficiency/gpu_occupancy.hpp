// What the GPUs of the node do now: written by the row of each GPU's states, read by that of the node's. Loop's thread
// only.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace perjoule {

enum class Occupancy : std::uint8_t { free, held, active };

struct GpuOccupancy {
  struct Gpu {
    Occupancy occupancy{};
    std::int64_t steady_ns = 0;  // when it was last known
  };
  std::map<std::string, Gpu> gpus;  // by UUID
};

}  // namespace perjoule
