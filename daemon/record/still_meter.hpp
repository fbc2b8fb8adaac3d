// Whether a counter that answers still counts. Some stand still while their device draws power: RAPL behind a
// hypervisor, the energy of a GPU after a driver's error (kepler#1675, amdsmi#22). Five reads without a step, over the
// patience that its driver names (collectors/batch.hpp), and it is no meter:
//
//   power is read beside it           the integral of that power stands in, from the last step on
//   another source books its energy   the recorder says so with bridge()
//   neither                           the time is unobserved, from the last step on
//
// A counter that reads 0 twice has never counted (xe's card, Linux 6.16), and is no meter from then on.
//
// When the counter moves again by less than half of what was booked in its place, it had stopped, and the step is
// booked. By more, it has caught up, and the step is booked without what was. One object per total (ledger.hpp). Pure;
// one thread at a time. Energy in microjoules, times in microseconds of the steady clock.
#pragma once

#include <cstdint>

namespace perjoule {

class StillMeter {
 public:
  struct Read {
    std::int64_t at_us = 0;
    std::int64_t patience_us = 0;  // 0: it may stand for ever
    double watts = -1;             // read beside the counter; below 0: none
    bool zero = false;             // the counter reads 0: it has never counted, and no patience is needed
  };
  struct Verdict {
    bool stands = false;
    bool integrated = false;         // `microjoules` are of the power beside the counter
    std::int64_t microjoules = 0;    // to be booked
    std::int64_t unobserved_us = 0;  // no energy is booked for this time
  };

  // The counter has moved, or was read for the first time.
  void move(const Read& read);
  // It has not moved since the read before.
  [[nodiscard]] Verdict stand(const Read& read);
  // Another source of the same device has booked this.
  void bridge(std::int64_t microjoules);

  // What of a step of `microjoules` is to be booked.
  [[nodiscard]] std::int64_t deduct(std::int64_t microjoules) const;
  // Of the last read with a step, if there were reads without one since; 0: there were none.
  [[nodiscard]] std::int64_t moved_us() const { return reads_ > 0 ? moved_us_ : 0; }

 private:
  std::int64_t moved_us_ = 0;
  std::int64_t last_us_ = 0;  // of the last read
  double last_watts_ = -1;
  double waiting_ = 0;           // microjoules of the power beside the counter that are not booked yet
  std::int64_t without_us_ = 0;  // time without any energy booked
  int reads_ = 0;                // since the last step
  bool stands_ = false;
  bool bridges_ = false;      // another source has booked since the last read
  std::int64_t bridged_ = 0;  // booked in place of the counter
};

}  // namespace perjoule
