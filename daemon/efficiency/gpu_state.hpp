// What a GPU was doing: the state machine behind perjoule_gpu_state_seconds_total. Pure; one thread at a time.
//
//   deep_idle       no process holds it, no kernel ran, and the driver let its clocks go
//   parked          no kernel ran, and something keeps it from deep idle: a process holds it, or its clocks stay up
//   execution_idle  a process holds it, kernels ran in less than 5 % of the time, and it draws more than a fifth of the
//                   way from its floor to its limit
//   active          everything else
//
// An idle state is entered when its condition has held for `enter_after`, and left at once; the time before a switch
// stays with the old state, so idle is a lower bound and nothing that was counted is taken back. Thresholds follow the
// study of execution-idle in academic clusters that knowledge of this field cites; utilisation is the share of time in
// which a kernel ran, an upper bound of what its multiprocessors did.
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
  std::optional<double> utilization;  // 0 to 1; without it nothing can be said, and the state stays
  std::optional<double> processes;
  std::optional<bool> clock_idle;  // the driver says that its clocks are low because nothing runs
  std::optional<double> watts;
  std::optional<double> limit_watts;  // enforced
};

// What the reading by itself looks like. `floor_watts`: of deep idle, when it is known.
[[nodiscard]] std::optional<GpuState> looks_like(const GpuReading& reading, std::optional<double> floor_watts);

class GpuStates {
 public:
  // A GPU that nobody has seen is taken to be active until it has shown otherwise.
  explicit GpuStates(GpuState first = GpuState::active) : current_(first) {}

  // The state that the interval which ends with this reading belongs to. `is_gap`: nobody looked in between.
  [[nodiscard]] GpuState step(std::optional<GpuState> seen, std::int64_t now_ns, std::int64_t enter_after_ns,
                              bool is_gap);
  [[nodiscard]] GpuState current() const { return current_; }

 private:
  GpuState current_;
  std::optional<GpuState> candidate_;
  std::int64_t since_ns_ = 0;
};

}  // namespace perjoule
