// Accounts the time and energy of one GPU: per state, waste above the idle floor, recent peak power, and agreement of
// the energy counter with the power readings. Pure; one thread at a time. Time is in integer microseconds and energy in
// integer microjoules, so that the parts add up exactly.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "daemon/efficiency/gpu_state.hpp"
#include "daemon/efficiency/idle_floor.hpp"

namespace perjoule {

// What the ledger booked for the interval that ends now.
struct GpuInterval {
  std::int64_t booked_uj = 0;
  std::int64_t interval_us = 0;
  std::int64_t unobserved_us = 0;
};

// The largest value of the last five minutes, with a resolution of ten seconds.
class RecentPeak {
 public:
  void add(double value, std::int64_t now_ns);
  [[nodiscard]] std::optional<double> largest(std::int64_t now_ns) const;

 private:
  struct Slot {
    std::int64_t number = 0;
    double value = 0;
  };
  std::deque<Slot> slots_;
};

// Energy of the counter divided by the integral of the instantaneous power readings, over the last ten minutes.
class Agreement {
 public:
  void add(std::int64_t booked_uj, std::int64_t interval_us, std::optional<double> watts, std::int64_t now_ns);
  // None until 540 s are covered, and while the integral is below 100 J, where the ratio would be noise.
  [[nodiscard]] std::optional<double> ratio(std::int64_t now_ns) const;

 private:
  struct Slot {
    std::int64_t number = 0;
    double counted_joules = 0;
    double integrated_joules = 0;
    double seconds = 0;
  };
  std::deque<Slot> slots_;
  std::optional<double> watts_before_;
};

class GpuAccount {
 public:
  GpuAccount(std::optional<GpuState> first, IdleFloor floor) : states_(first), floor_(std::move(floor)) {}

  struct Entry {
    std::optional<GpuState> state;  // to which the interval is booked; nothing: no reading decides
    std::int64_t time_us = 0;       // the observed part of the interval
    std::int64_t energy_uj = 0;
    std::int64_t waste_uj = 0;
    double waste_watts = 0;  // at this reading
  };
  // `floor_watts`: the power in deep idle, if it is known; without it there is no waste. What was booked before the
  // first reading that decides is in the entry of that one.
  [[nodiscard]] Entry add(const GpuInterval& interval, const GpuReading& reading, std::int64_t now_ns,
                          std::int64_t enter_after_ns, std::optional<double> floor_watts);
  // While the kernel has the GPU suspended no energy is read: the time since the last call of either is asleep.
  [[nodiscard]] Entry suspended(std::int64_t now_ns);

  [[nodiscard]] std::optional<GpuState> state() const { return states_.current(); }
  [[nodiscard]] const IdleFloor& floor() const { return floor_; }

 private:
  GpuStates states_;
  IdleFloor floor_;
  std::int64_t last_ns_ = 0;         // of the last call; 0: there was none
  std::int64_t asleep_us_ = 0;       // booked since the last energy
  std::int64_t utilization_ns_ = 0;  // when it was read last
  GpuInterval undecided_;            // energy and time before a reading decided
};

}  // namespace perjoule
