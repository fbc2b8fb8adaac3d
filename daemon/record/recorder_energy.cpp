// One reading of energy or power on its way through the recorder: booked by the ledger if it is believed, bridged where
// its counter stands, and its rate shown.
#include <fmt/format.h>

#include <optional>
#include <string>

#include "collectors/labels.hpp"
#include "daemon/record/metrics.hpp"
#include "daemon/record/recorder.hpp"

namespace perjoule {

namespace {

constexpr std::size_t faults_max = 16;

// Held and refused steps; "" for all else.
std::string why_not_believed(const Ledger::Booking& booking, const Reading& reading) {
  const std::string_view unit = reading.metric->unit == Unit::joule ? "W" : "per second";
  if (booking.stands) {
    return fmt::format("its counter stands at {} while the device is in use, and is no meter: {}", reading.raw,
                       booking.integrated          ? "the power read beside it is integrated"
                       : booking.unobserved_us > 0 ? "its energy is unobserved"
                                                   : "another source stands in");
  }
  if (booking.verdict == GateVerdict::held && booking.rate == 0)
    return "its counter fell; nothing is booked until the next read shows whether it restarted";
  if (booking.verdict == GateVerdict::held) {
    return fmt::format(
        "it shows {:.1f} {}; more than {:.1f} (1.5 x what the device names or what has stood) is booked "
        "only if it stands for three reads",
        booking.rate, unit, booking.bound);
  }
  if (booking.verdict == GateVerdict::refused && booking.bound > 0) {
    return fmt::format(
        "it showed {:.1f} {}, more than {:.1f}, which neither stood nor was taken back: {:.3f} s are "
        "unobserved",
        booking.rate, unit, booking.bound, static_cast<double>(booking.unobserved_us) / 1e6);
  }
  return {};
}

}  // namespace

void Recorder::accept_energy(ProbeState& probe, const Resolved& resolved, const Batch& batch, const Reading& reading,
                             const Stamp& stamp, Accepted& accepted) {
  if (resolved.total == nullptr || is_repeated(resolved.total->own.series)) {
    ++accepted.refused;
    return;
  }
  const bool integral = reading.form == Reading::Form::integral;
  const Ledger::Booking booking =
      integral ? ledger_.integrate(resolved.total->own.entry, reading, stamp, probe.info.period_ns)
               : ledger_.meter(resolved.total->own.entry, reading, stamp);
  accepted.refused += booking.refused || booking.verdict == GateVerdict::refused || booking.stands ? 1U : 0U;
  accepted.resets += booking.reset ? 1U : 0U;
  if (const std::string why = why_not_believed(booking, reading); !why.empty() && accepted.faults.size() < faults_max)
    accepted.faults.push_back(
        {std::string(batch.device(reading)), Error{Fault::transient, why}, ItemState::implausible});
  const std::optional<double> rate = rate_of(resolved, reading, booking);
  const Origin origin = booking.integrated ? Origin::integrated : reading.origin;
  const Totals* by_source = resolved.by_source;
  if (by_source != nullptr && origin != reading.origin) {
    by_source = this->by_source(batch, reading, origin);
    if (by_source != nullptr) probe.show(*by_source);
  }
  if (by_source != nullptr) ledger_.book(by_source->own.entry, booking.millionths);
  for (const Persisted& sibling : *resolved.total->siblings) {
    if (sibling.entry != resolved.total->own.entry) ledger_.bridge(sibling.entry, booking.millionths);
  }
  if (resolved.unobserved != nullptr) ledger_.book(resolved.unobserved->own.entry, booking.unobserved_us);
  for (const Totals* totals_of : {resolved.total, by_source, resolved.unobserved}) {
    if (totals_of != nullptr) emitted_.push_back(totals_of);
  }
  observe(resolved.observers,
          {resolved.total->own.series, reading.metric, batch.labels(reading), origin, rate, booking.millionths,
           booking.unobserved_us, stamp.steady_ns, probe.info.stale_after_ns, booking.interval_us, booking.stands});
}

std::optional<double> Recorder::rate_of(const Resolved& resolved, const Reading& reading,
                                        const Ledger::Booking& booking) {
  std::optional<double> rate;
  const bool integral = reading.form == Reading::Form::integral;
  const bool moved = booking.millionths > 0 || reading.patience_ms != patience_alive_ms;
  if (integral || booking.stands || !moved) {
    if (!booking.refused && (integral || reading.value >= 0)) rate = reading.value;
  } else if (!booking.refused && booking.interval_us > 0 && booking.unobserved_us == 0 &&
             booking.verdict != GateVerdict::caught_up) {
    // Millionths per microsecond are units per second. Without a full booking of the interval it is unknown, not 0.
    rate = static_cast<double>(booking.millionths) / static_cast<double>(booking.interval_us);
  }
  if (!resolved.rate) return rate;
  if (rate) {
    plain_.push_back({*resolved.rate, *rate});
  } else if (booking.verdict != GateVerdict::booked || booking.stands || !moved) {
    latest_.remove(*resolved.rate);
  }
  return rate;
}

}  // namespace perjoule
