// The state machine behind perjoule_gpu_state_seconds_total. Pure; one thread at a time.
//
//   deep_idle       no kernel ran, no process uses the GPU, and the driver has lowered its clocks
//   parked          no kernel ran, but a process uses the GPU or its clocks stay up
//   execution_idle  a process uses the GPU, a kernel ran in less than 5 % of the time (but more than 0), and its power
//                   is above floor + 20 % of (enforced limit - floor)
//   active          everything else, and execution_idle while the floor is unknown
//
// A state other than active is entered when its condition has held for `enter_after`; active is entered at once. The
// time before a switch stays with the old state: idle time is a lower bound, and nothing booked is ever moved. The
// thresholds of execution_idle are those of a study of academic GPU clusters (arXiv 2604.04745), which applies 5 % to
// the activity of the multiprocessors. Utilization is the share of time in which any kernel ran: an upper bound of that
// activity.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace perjoule {

enum class GpuState : std::uint8_t { deep_idle, parked, execution_idle, active };
inline constexpr std::array gpu_states = {GpuState::deep_idle, GpuState::parked, GpuState::execution_idle,
                                          GpuState::active};
[[nodiscard]] std::string_view name(GpuState state);
[[nodiscard]] std::optional<GpuState> gpu_state_of(std::string_view text);

struct GpuReading {
  std::optional<double> utilization;  // 0 to 1; without it the reading has no state, and the current state stays
  std::optional<double> processes;
  std::optional<bool> clock_idle;  // the driver reports that the clocks are low because nothing runs
  std::optional<double> watts;
  std::optional<double> limit_watts;  // the enforced power limit
};

// The state that one reading by itself indicates. `floor_watts`: the power in deep idle, if it is known.
[[nodiscard]] std::optional<GpuState> looks_like(const GpuReading& reading, std::optional<double> floor_watts);

class GpuStates {
 public:
  // A GPU without saved state counts as active until its readings show otherwise.
  explicit GpuStates(GpuState first = GpuState::active) : current_(first) {}

  // Takes a reading and returns the state that the interval ending with it belongs to. `is_gap`: the interval was too
  // long to know what happened in it.
  [[nodiscard]] GpuState step(std::optional<GpuState> seen, std::int64_t now_ns, std::int64_t enter_after_ns,
                              bool is_gap);
  [[nodiscard]] GpuState current() const { return current_; }

 private:
  GpuState current_;
  std::optional<GpuState> candidate_;
  std::int64_t since_ns_ = 0;
};

}  // namespace perjoule
