// Two reads of a hardware counter -> the increment between them. Wrap, reset and plausibility are decided here for all
// drivers: the difference is taken modulo the wrap range, and is booked only if at most one wrap is possible in the
// interval and the device can have counted that much (the gate).
//
// Pure; any thread. Units are millionths of the metric's unit, so that a total is exact (a double holds microjoules
// only to 2^53, ten days at 10 kW). Why a gate: without it, a counter that restarts at 0 books a whole wrap range as a
// spike (262 kJ for Intel RAPL).
#pragma once

#include <cstdint>

namespace perjoule {

struct CounterStep {
  std::uint64_t previous = 0;
  std::uint64_t current = 0;
  std::uint64_t wrap = 0;        // the counter runs from 0 to `wrap` inclusive; 0: it does not wrap
  double rate_max = 0;           // units per second
  std::int64_t interval_us = 0;  // between the two reads, > 0
  std::int64_t doubt_us = 0;     // the reads may be that much further apart: a busy host delays the reading thread
};

enum class StepVerdict : std::uint8_t {
  booked,     // `increment` is what the device counted
  ambiguous,  // more than one wrap is possible in the interval: nothing is booked
  reset,      // the counter restarted or jumped: nothing is booked
};

struct Increment {
  StepVerdict verdict = StepVerdict::booked;
  std::int64_t millionths = 0;
};

// The gate is 1.5 x rate_max x the longest possible interval (interval + doubt), and at least 1.5 x rate_max x 50 ms: a
// counter that is updated every 20 to 100 ms may contain one update more than the interval.
[[nodiscard]] Increment step(const CounterStep& counter);

}  // namespace perjoule
