// A token bucket: how long the next request of a connection must wait. Pure; one thread at a time.
#pragma once

#include <algorithm>
#include <chrono>

namespace perjoule::http {

class Pace {
 public:
  using Clock = std::chrono::steady_clock;

  // `per_second` of 0 or less: no limit. After a pause, `burst` requests (at least 1) may come without delay.
  Pace(double per_second, double burst, Clock::time_point now)
      : per_second_(per_second), burst_(std::max(burst, 1.0)), tokens_(burst_), last_(now) {}

  // Takes one token; the balance may become negative. Returns the time until it is 0 again, or 0 if it is not negative.
  Clock::duration take_token(Clock::time_point now) {
    if (per_second_ <= 0) return {};
    std::chrono::duration<double> passed = now - last_;
    last_ = now;
    tokens_ = std::min(burst_, tokens_ + passed.count() * per_second_) - 1;
    if (tokens_ >= 0) return {};
    return std::chrono::ceil<Clock::duration>(std::chrono::duration<double>(-tokens_ / per_second_));
  }

 private:
  double per_second_;
  double burst_;
  double tokens_;
  Clock::time_point last_;
};

}  // namespace perjoule::http
