// The state machine behind perjoule_gpu_state_seconds_total. Pure; one thread at a time.
//
//   asleep          the kernel has runtime-suspended the GPU
//   deep_idle       no kernel ran, no process holds the GPU, and the driver has lowered its clocks
//   parked          no kernel ran, but a process holds the GPU or its clocks stay up
//   execution_idle  a process holds the GPU, a kernel ran in less than 5 % of the time (but more than 0), and its power
//                   is above floor + 20 % of (enforced limit - floor)
//   spinning        a process holds the GPU and a kernel ran in 90 % of the time or more, but its memory was busy in
//                   less than 5 % and its power is below floor + 25 % of (enforced limit - floor): a collective that
//                   waits for a rank that does not come spins so (NVIDIA/nccl#968)
//   active          everything else, and execution_idle and spinning while the floor is unknown
//
// Where the driver gives no utilisation (MIG), its reason for the clocks decides: GpuIdle is deep_idle or parked, else
// the GPU is active while a process holds it. Where that is unknown too, only the absence of processes decides. A
// reading that decides nothing leaves the state as it is; after a minute of them the GPU has no state.
//
// asleep and active are entered at once, any other state when its condition has held for `enter_after`; from asleep
// any state is entered at once. The first reading that decides makes a GPU active, or asleep. The time before a switch
// stays with the old state: idle time is a lower bound, and nothing booked is ever moved. The thresholds of
// execution_idle are those of a study of academic GPU clusters (arXiv 2604.04745), which applies 5 % to the activity of
// the multiprocessors. Utilization is the share of time in which any kernel ran: an upper bound of that activity.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace perjoule {

enum class GpuState : std::uint8_t { asleep, deep_idle, parked, execution_idle, spinning, active };
inline constexpr std::array gpu_states = {GpuState::asleep,         GpuState::deep_idle, GpuState::parked,
                                          GpuState::execution_idle, GpuState::spinning,  GpuState::active};
[[nodiscard]] std::string_view name(GpuState state);
[[nodiscard]] std::optional<GpuState> gpu_state_of(std::string_view text);

struct GpuReading {
  std::optional<double> utilization;         // 0 to 1
  std::optional<double> memory_utilization;  // 0 to 1
  std::optional<double> processes;           // that hold the GPU: without those of the infrastructure
  std::optional<bool> clock_idle;            // the driver reports that the clocks are low because nothing runs
  std::optional<double> watts;
  std::optional<double> limit_watts;  // the enforced power limit
  bool suspended = false;             // nothing else is read then
};

// The state that one reading by itself indicates; nothing where it does not decide. `floor_watts`: the power in deep
// idle, if it is known.
[[nodiscard]] std::optional<GpuState> looks_like(const GpuReading& reading, std::optional<double> floor_watts);

class GpuStates {
 public:
  // A GPU without saved state has none until a reading decides.
  explicit GpuStates(std::optional<GpuState> first = std::nullopt) : current_(first) {}

  // Takes a reading and returns the state that the interval ending with it belongs to. `is_gap`: the interval was too
  // long to know what happened in it. Nothing: no reading has decided yet, or none has for a minute.
  [[nodiscard]] std::optional<GpuState> step(std::optional<GpuState> seen, std::int64_t now_ns,
                                             std::int64_t enter_after_ns, bool is_gap);
  [[nodiscard]] std::optional<GpuState> current() const { return current_; }

  static constexpr std::int64_t undecided_max_ns = 60'000'000'000;

 private:
  std::optional<GpuState> current_;
  std::optional<GpuState> candidate_;
  std::int64_t since_ns_ = 0;    // of the candidate
  std::int64_t decided_ns_ = 0;  // when a reading decided last
};

}  // namespace perjoule
