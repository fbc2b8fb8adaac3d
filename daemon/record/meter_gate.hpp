// Whether what a meter shows is energy. A counter that jumps and is back at the next read has counted nothing, and a
// rate beyond what the device may use is believed only when it stands. One object per total (ledger.hpp).
//
//   gate     1.5 x the largest of the maximum that the device names, the limits in force (the driver gives the larger
//            of both, and reads them again each minute), and the largest rate that has stood for three reads
//   a step beyond the gate is held, and nothing is booked:
//     the next read takes it back         it was never energy: the total goes on from before the step
//     two more reads stay at its rate     it is booked whole, and the gate rises to it
//     else                                it is refused: its interval is unobserved
//   a counter that falls and has not wrapped is held too:
//     the next read is back               a dip: its interval is unobserved, and the return books nothing
//     else                                it restarted: its interval is unobserved
//
// A reading of power is held in the same way. What is held is forgotten at a restart of the daemon, because the ledger
// keeps the last accepted reading. Pure; one thread at a time. Values in millionths of the metric's unit, rates in
// units per second, times in microseconds of the steady clock.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace perjoule {

enum class GateVerdict : std::uint8_t {
  booked,      // plausible
  held,        // a step beyond the gate, or a fall: the next read decides
  taken_back,  // the held step was none; what was counted since the last accepted read is booked
  believed,    // the held steps have stood, and are booked
  dip,         // the counter had fallen for one read
  refused,     // the held step neither stood nor was it taken back
  restarted,   // the counter fell and goes on from there
  ambiguous,   // more than one wrap is possible
  caught_up,   // the counter had stood still (still_meter.hpp), and the step is plausible for that time
};

struct CounterRead {
  std::uint64_t raw = 0;
  std::uint64_t wrap = 0;     // the counter runs from 0 to `wrap` inclusive; 0: it does not wrap
  double rate_max = 0;        // what the device names, or what limits it
  std::int64_t at_us = 0;     // of the read
  std::int64_t doubt_us = 0;  // the reads may be that much further apart
  std::int64_t moved_us = 0;  // when it last moved, if it has stood still since; 0: it has not
  bool from_zero = false;     // after a restart it counts from 0, so that a fall shows what was counted since
};

struct GateStep {
  GateVerdict verdict = GateVerdict::booked;
  std::int64_t millionths = 0;     // to be booked
  std::int64_t unobserved_us = 0;  // time for which nothing is booked
  double rate = 0;                 // of the step that was judged
  double bound = 0;                // the largest rate that is booked at once
};

struct PowerPoint {
  double watts = 0;
  std::int64_t at_us = 0;
  std::int64_t wall_ms = 0;
};

class MeterGate {
 public:
  // The step from the last accepted read (`raw` and `at_us`) to this one, which is later. Unless the verdict is `held`,
  // this one is the next to be accepted.
  [[nodiscard]] GateStep count(std::uint64_t raw, std::int64_t at_us, const CounterRead& now);

  struct Power {
    GateVerdict verdict = GateVerdict::booked;  // booked, held, taken_back or believed
    std::vector<PowerPoint> points;             // to be integrated, in this order; none: it is held
    double bound = 0;
  };
  // `point.watts` is finite and not negative.
  [[nodiscard]] Power integrate(const PowerPoint& point, double rate_max);

  [[nodiscard]] bool holds() const { return !held_.empty(); }
  // Nothing is held any more, for a reading that has nothing before it.
  void forget() { held_.clear(); }

 private:
  struct Held {
    std::uint64_t raw = 0;
    std::int64_t at_us = 0;
    double rate = 0;
    std::int64_t wall_ms = 0;
  };
  [[nodiscard]] GateStep resume(std::uint64_t raw, std::int64_t at_us, const CounterRead& now);
  // Whether a further step of this rate goes on like the held ones.
  [[nodiscard]] bool stands(double rate) const;
  [[nodiscard]] double largest(double rate_max) const;
  void believe();
  void accept(double rate);

  double stood_ = 0;               // the largest rate that has stood for three reads
  std::array<double, 2> rates_{};  // of the last two accepted steps; 0: none
  std::vector<Held> held_;         // at most two; of a counter that fell: one
  bool falls_ = false;             // the held one is below the last accepted read
};

}  // namespace perjoule
