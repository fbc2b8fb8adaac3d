#include "daemon/record/meter_gate.hpp"

#include <algorithm>
#include <utility>

#include "collectors/counter.hpp"

namespace perjoule {

namespace {

constexpr double gate_factor = 1.5;  // as in collectors/counter.cpp
constexpr double alike = 1.5;        // rates that differ by no more than this factor are one rate
constexpr std::size_t reads_to_stand = 3;

double rate_of(std::int64_t millionths, std::int64_t interval_us) {
  return static_cast<double>(millionths) / static_cast<double>(interval_us);
}

Increment step_to(std::uint64_t raw, std::int64_t at_us, const CounterRead& now, double largest) {
  return step({raw, now.raw, now.wrap, largest, now.at_us - at_us, now.doubt_us});
}

}  // namespace

double MeterGate::largest(double rate_max) const {
  return std::max(rate_max, stood_);
}

void MeterGate::accept(double rate) {
  if (rates_[0] > 0) stood_ = std::max(stood_, std::min({rates_[0], rates_[1], rate}));
  rates_ = {rates_[1], rate};
}

bool MeterGate::stands(double rate) const {
  return std::all_of(held_.begin(), held_.end(),
                     [rate](const Held& held) { return rate <= held.rate * alike && held.rate <= rate * alike; });
}

void MeterGate::believe() {
  const auto lower = [](const Held& a, const Held& b) { return a.rate < b.rate; };
  stood_ = std::max(stood_, std::min_element(held_.begin(), held_.end(), lower)->rate);
  held_.clear();
}

GateStep MeterGate::count(std::uint64_t raw, std::int64_t at_us, const CounterRead& now) {
  const std::int64_t interval_us = now.at_us - at_us;
  if (now.from_zero && now.raw < raw) {
    forget();
    return {GateVerdict::restarted, static_cast<std::int64_t>(std::min<std::uint64_t>(now.raw, INT64_MAX)), 0, 0, 0};
  }
  if (!held_.empty()) return resume(raw, at_us, now);
  const double most = largest(now.rate_max);
  const Increment whole = step_to(raw, at_us, now, most);
  GateStep made{GateVerdict::booked, whole.millionths, 0, 0, gate_factor * most};
  if (whole.verdict == StepVerdict::booked) {
    made.rate = rate_of(whole.millionths, interval_us);
    accept(made.rate);
    return made;
  }
  rates_ = {};
  if (now.moved_us > 0) {
    const Increment since = step_to(raw, now.moved_us, now, most);
    if (since.verdict == StepVerdict::booked) {
      made.verdict = GateVerdict::caught_up;
      made.millionths = since.millionths;
      return made;
    }
  }
  if (whole.verdict == StepVerdict::ambiguous) {
    made.verdict = GateVerdict::ambiguous;
    made.unobserved_us = interval_us;
    return made;
  }
  falls_ = now.raw < raw;
  if (!falls_) made.rate = static_cast<double>(now.raw - raw) / static_cast<double>(interval_us);
  held_.push_back({now.raw, now.at_us, made.rate, 0});
  made.verdict = GateVerdict::held;
  return made;
}

GateStep MeterGate::resume(std::uint64_t raw, std::int64_t at_us, const CounterRead& now) {
  const Held last = held_.back();
  const double most = largest(now.rate_max);
  GateStep made{GateVerdict::refused, 0, 0, last.rate, gate_factor * most};
  const Increment whole = step_to(raw, at_us, now, most);
  const Increment after = step_to(last.raw, last.at_us, now, most);
  // A counter that stands where the step put it is not back, even if a longer time would explain the step.
  if (whole.verdict == StepVerdict::booked && (falls_ || now.raw < last.raw)) {
    made.verdict = falls_ ? GateVerdict::dip : GateVerdict::taken_back;
    (falls_ ? made.unobserved_us : made.millionths) = falls_ ? now.at_us - at_us : whole.millionths;
    held_.clear();
    return made;
  }
  if (after.verdict == StepVerdict::booked) {
    made.verdict = falls_ ? GateVerdict::restarted : GateVerdict::refused;
    made.unobserved_us = last.at_us - at_us;
    made.millionths = after.millionths;
    held_.clear();
    return made;
  }
  const bool rises = !falls_ && now.raw > last.raw;
  const double rate = rises ? static_cast<double>(now.raw - last.raw) / static_cast<double>(now.at_us - last.at_us) : 0;
  if (!rises || !stands(rate)) {
    made.unobserved_us = now.at_us - at_us;
    held_.clear();
    return made;
  }
  made.rate = rate;
  if (held_.size() + 1 < reads_to_stand) {
    held_.push_back({now.raw, now.at_us, rate, 0});
    made.verdict = GateVerdict::held;
    return made;
  }
  made.verdict = GateVerdict::believed;
  made.millionths = static_cast<std::int64_t>(now.raw - raw);
  held_.push_back({now.raw, now.at_us, rate, 0});
  believe();
  return made;
}

MeterGate::Power MeterGate::integrate(const PowerPoint& point, double rate_max) {
  const double bound = gate_factor * largest(rate_max);
  Power made{GateVerdict::booked, {point}, bound};
  if (point.watts <= bound) {
    if (!held_.empty()) made.verdict = GateVerdict::taken_back;
    held_.clear();
    accept(point.watts);
    return made;
  }
  rates_ = {};
  if (!stands(point.watts)) held_.clear();
  held_.push_back({0, point.at_us, point.watts, point.wall_ms});
  made.points.clear();
  if (held_.size() < reads_to_stand) {
    made.verdict = GateVerdict::held;
    return made;
  }
  made.verdict = GateVerdict::believed;
  for (const Held& held : held_)
    made.points.push_back({held.rate, held.at_us, held.wall_ms});
  believe();
  return made;
}

}  // namespace perjoule
