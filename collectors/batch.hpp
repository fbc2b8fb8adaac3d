// What one call of a collector read. The collector fills the batch on its lane, then the recorder owns it on the loop:
// one thread at a time, no locking. A batch is reused from tick to tick, so that a steady probe allocates nothing.
//
// A reading is added by one of four calls:
//   add        a gauge, or a counter as the source itself keeps it; shown as it is, nothing is booked
//   meter      a raw hardware counter; the ledger turns it into a total that survives wrap, reset, restart and reboot
//   integrate  power where no counter exists; the ledger integrates it: trapezoid over at most 2.5 periods, a longer
//              gap holds the last power for at most 30 s, the rest is unobserved (daemon/record/ledger.hpp)
//   dwell      a state that holds or not, where no counter of its time exists; the ledger books seconds the same way
// For a metric in joules (integrate always, meter where the counter is one of energy) the recorder also books
// `perjoule_energy_by_source_joules_total{device,source}` and the unobserved seconds of the device.
// Label values are taken as they are, up to a NUL: the recorder makes them valid UTF-8 and bounds their length.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/metric.hpp"
#include "collectors/result.hpp"

namespace perjoule {

// How the energy of an increment became known.
enum class Origin : std::uint8_t { counter, integrated, modelled };
inline constexpr std::array origins = {Origin::counter, Origin::integrated, Origin::modelled};

constexpr std::string_view name(Origin origin) {
  switch (origin) {
    case Origin::counter:
      return "counter";
    case Origin::integrated:
      return "integrated";
    case Origin::modelled:
      return "modelled";
  }
  return "unknown";
}

// A raw hardware counter, in millionths of its metric's unit (microjoules, microseconds).
struct CounterReading {
  std::string_view device;  // identity that survives reboots: "package-0", a UUID; never an index that can change
  std::uint64_t value = 0;  // as read
  std::uint64_t wrap = 0;   // the counter runs from 0 to `wrap` inclusive and starts again; 0: it does not wrap
  // What the device names as its largest rate, or a limit in force if that is larger, in the metric's unit per second
  // (watts for energy); read again now and then. Where nothing is named: a guess. > 0
  double rate_max = 0;
  Origin origin = Origin::counter;
  bool from_zero = false;  // after a restart it counts from 0, so that a fall shows what was counted since
  // Of an energy: without a step for this long it is no meter (daemon/record/still_meter.hpp). 0: it may stand still.
  std::int64_t patience_ms = 0;
  double watts = -1;  // power read beside it, which is integrated while it stands; below 0: none
};
inline constexpr std::int64_t patience_alive_ms = 5'000;  // the device draws power for sure
inline constexpr std::int64_t patience_ms = 60'000;       // it may be off

struct PowerReading {
  std::string_view device;
  double rate_max = 0;  // as in CounterReading; readings below 0 or not finite are refused and counted
  Origin origin = Origin::integrated;
};

struct Reading {
  enum class Form : std::uint8_t { value, meter, integral };
  const Metric* metric = nullptr;
  const Metric* rate = nullptr;  // gauge, same labels: mean rate of the interval (for an energy, the power)
  Form form = Form::value;
  Origin origin = Origin::counter;
  double value = 0;  // value: the number; integral: watts; meter: the watts beside it, below 0: none
  std::uint64_t raw = 0;
  std::uint64_t wrap = 0;
  double rate_max = 0;
  bool from_zero = false;
  std::int64_t patience_ms = 0;
  std::uint32_t labels_at = 0;  // label values in the arena, each followed by a NUL
  std::uint32_t labels_size = 0;
  std::uint32_t device_size = 0;  // bytes of the device, which follows the labels in the arena
};

// Value of the label number `index` in values that are each followed by a NUL, as a batch keeps them; "" if there are
// fewer.
[[nodiscard]] std::string_view label_value(std::string_view values, std::size_t index);

// What became of an item of a source: a sensor, a zone, a file, a query of a driver.
enum class ItemState : std::uint8_t { ok, absent, denied, error, implausible };
inline constexpr std::array item_states = {ItemState::ok, ItemState::absent, ItemState::denied, ItemState::error,
                                           ItemState::implausible};
constexpr std::string_view name(ItemState state) {
  constexpr std::array<std::string_view, item_states.size()> names = {"ok", "absent", "denied", "error", "implausible"};
  return names[static_cast<std::size_t>(state)];
}
using ItemCounts = std::array<std::uint32_t, item_states.size()>;

// An item that gave no value.
struct ItemFault {
  std::string item;
  Error error;
  ItemState state = ItemState::error;
};

class Batch {
 public:
  template <Unit U, Kind K, std::size_t N, class... L>
  requires(sizeof...(L) == N) void add(const Declared<U, K, N>& metric, Quantity<U> value, const L&... labels) {
    Reading reading;
    reading.metric = &metric;
    reading.value = value.value();
    append(reading, {}, {std::string_view(labels)...});
  }

  // `rate` is a gauge with the same labels that shows the mean rate since the previous reading; null: none is shown.
  template <Unit U, std::size_t N, class... L>
  requires(sizeof...(L) == N) void meter(const Declared<U, Kind::counter, N>& metric, const Metric* rate,
                                         const CounterReading& counter, const L&... labels) {
    Reading reading;
    reading.metric = &metric;
    reading.rate = rate;
    reading.form = Reading::Form::meter;
    reading.origin = counter.origin;
    reading.raw = counter.value;
    reading.wrap = counter.wrap;
    reading.rate_max = counter.rate_max;
    reading.from_zero = counter.from_zero;
    reading.patience_ms = counter.patience_ms;
    reading.value = counter.watts;
    append(reading, counter.device, {std::string_view(labels)...});
  }

  // Books the integral of `power` on `metric`, and shows `power` itself on `shown` when it is not null.
  template <std::size_t N, class... L>
  requires(sizeof...(L) == N) void integrate(const Declared<Unit::joule, Kind::counter, N>& metric, const Metric* shown,
                                             Watts power, const PowerReading& source, const L&... labels) {
    Reading reading;
    reading.metric = &metric;
    reading.rate = shown;
    reading.form = Reading::Form::integral;
    reading.origin = source.origin;
    reading.value = power.value();
    reading.rate_max = source.rate_max;
    append(reading, source.device, {std::string_view(labels)...});
  }

  // Books the time for which a state held that is only visible at the moment of each sample (a bit). The ledger
  // integrates it as a power of 0 or 1.
  template <std::size_t N, class... L>
  requires(sizeof...(L) == N) void dwell(const Declared<Unit::second, Kind::counter, N>& metric, bool holds,
                                         std::string_view device, const L&... labels) {
    Reading reading;
    reading.metric = &metric;
    reading.form = Reading::Form::integral;
    reading.origin = Origin::integrated;
    reading.value = holds ? 1 : 0;
    reading.rate_max = 1;
    append(reading, device, {std::string_view(labels)...});
  }

  // So many items gave their value, or have none: the driver does not have them, or not now.
  void ok(std::uint32_t items = 1) { items_[static_cast<std::size_t>(ItemState::ok)] += items; }
  void absent(std::uint32_t items = 1) { items_[static_cast<std::size_t>(ItemState::absent)] += items; }

  // One item (a channel, a zone) failed while others did not. At most 64 errors are kept; all are counted. One that is
  // absent (Fault::absent) has no value now, which is no fault.
  void fault(std::string_view item, Error error);

  // An implausible value was read and ignored: it is counted, and its series has no value in this tick. `why` says what
  // was read and which bound it broke. Shares the limit of 64 with fault().
  void refuse(std::string_view item, std::string_view why);

  void clear();
  std::span<const Reading> readings() const { return readings_; }
  std::span<const ItemFault> faults() const { return faults_; }
  // Of the items that were reported by the calls above.
  const ItemCounts& items() const { return items_; }
  std::uint64_t fault_count() const { return fault_count_; }
  std::uint64_t refused_count() const { return refused_count_; }
  // Label values, each followed by a NUL.
  std::string_view labels(const Reading& reading) const {
    return std::string_view(arena_).substr(reading.labels_at, reading.labels_size);
  }
  std::string_view device(const Reading& reading) const {
    return std::string_view(arena_).substr(reading.labels_at + reading.labels_size, reading.device_size);
  }
  // Value of the label `index` of a reading.
  std::string_view label(const Reading& reading, std::size_t index) const;

 private:
  void append(Reading reading, std::string_view device, std::initializer_list<std::string_view> labels);

  std::vector<Reading> readings_;
  std::string arena_;
  std::vector<ItemFault> faults_;
  ItemCounts items_ = {};
  std::uint64_t fault_count_ = 0;
  std::uint64_t refused_count_ = 0;
};

}  // namespace perjoule
