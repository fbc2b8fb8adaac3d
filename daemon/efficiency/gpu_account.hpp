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
  GpuAccount(GpuState first, IdleFloor floor) : states_(first), floor_(std::move(floor)) {}

  struct Entry {
    GpuState state{};          // the state to which the interval is booked
    std::int64_t time_us = 0;  // the observed part of the interval
    std::int64_t energy_uj = 0;
    std::optional<double> floor_watts;
    std::int64_t waste_uj = 0;
    double waste_watts = 0;  // at this reading
  };
  // `configured_floor` takes precedence over the learned one.
  [[nodiscard]] Entry add(const GpuInterval& interval, const GpuReading& reading, std::int64_t now_ns,
                          std::int64_t enter_after_ns, std::optional<double> configured_floor);

  [[nodiscard]] GpuState state() const { return states_.current(); }
  [[nodiscard]] const IdleFloor& floor() const { return floor_; }

 private:
  GpuStates states_;
  IdleFloor floor_;
};

}  // namespace perjoule
