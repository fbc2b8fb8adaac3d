// A row: one step that derives samples from readings (node power, GPU states, cost). Loop's thread only; rows must not
// block. They run after every batch, in the order of efficiency/rows.hpp.
//
// The recorder first calls observe() for every accepted reading of the families in inputs(), and for what earlier rows
// booked on those families; then it calls derive(). Derived samples get the timestamp and the stale_after of the
// current batch, so they become stale together with the device they come from. Deriving allocates: show() and book()
// look their series up by a string that is built from the labels at each call.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "collectors/batch.hpp"
#include "collectors/metric.hpp"
#include "collectors/sample.hpp"
#include "config/settings.hpp"

namespace perjoule {

struct Observation {
  SeriesId series{};
  const Metric* metric = nullptr;
  std::string_view label_values;  // in Batch's form: each value followed by a NUL
  Origin origin = Origin::counter;
  std::optional<double> value;  // a gauge: its value; energy: mean power of the interval, or the power that was read
  std::int64_t booked = 0;      // millionths of the metric's unit
  std::int64_t unobserved_us = 0;
  std::int64_t steady_ns = 0;
  std::int64_t stale_after_ns = 0;
  std::int64_t interval_us = 0;  // since the previous reading, also across a restart; 0: first reading, or a new boot
  bool stands = false;           // energy: its counter answers and stands still (still_meter.hpp)
};

// Receives what a row derives. Valid during one call of derive() only.
class Derivation {
 public:
  using Values = std::initializer_list<std::string_view>;  // of the labels, in the order of the metric
  virtual ~Derivation() = default;
  virtual void show(const Metric& gauge, Values labels, double value) = 0;
  // Adds to a persisted counter. Its total is shown once it is committed; `millionths` may be 0, to show the total.
  virtual void book(const Metric& counter, Values labels, std::int64_t millionths) = 0;
  virtual void remove(const Metric& metric, Values labels) = 0;
};

class Row {
 public:
  virtual ~Row() = default;
  [[nodiscard]] virtual std::span<const Metric* const> inputs() const = 0;
  [[nodiscard]] virtual std::span<const Metric* const> outputs() const = 0;
  // True: the row's series belong to the device of the current batch, and are removed when that device is closed.
  [[nodiscard]] virtual bool of_device() const { return false; }
  virtual void configure(const config::Efficiency& /*settings*/) {}
  // Whether every source has had its first call; it has, unless this says otherwise.
  virtual void settle(bool /*settled*/) {}
  // The key of the configuration that this output needs and that is not set; "" if it needs none.
  [[nodiscard]] virtual std::string_view lacks(const Metric& /*output*/) const { return ""; }
  virtual void observe(const Observation& observation) = 0;
  virtual void derive(const Stamp& stamp, Derivation& derivation) = 0;
  // These series were not observed for an hour, and come back with other ids.
  virtual void forget(const std::unordered_set<SeriesId>& /*ids*/) {}
  // The device of these series was closed; it may come back, with the same ids.
  virtual void close(const std::unordered_set<SeriesId>& /*ids*/, std::int64_t /*now_ns*/) {}
  // What an operator should know of its outputs, as a sentence: for the page and the log. "" if all is well.
  [[nodiscard]] virtual std::string note(std::int64_t /*now_ns*/) const { return ""; }
};

// In order of dependency: a row may use the outputs of the rows before it.
using Rows = std::vector<std::unique_ptr<Row>>;

}  // namespace perjoule
