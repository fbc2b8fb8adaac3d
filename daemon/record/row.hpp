// A row: one step that derives samples from what was read. Rows run after every batch in the order of
// efficiency/rows.hpp, on the loop's thread, and neither block nor allocate in a steady state.
//
// A row is told of every accepted reading of the families it names, and of what rows before it booked on them; then it
// is asked to derive. What it shows carries the time and the life span of the batch in hand: a device that falls silent
// takes its derived series along.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "collectors/batch.hpp"
#include "collectors/metric.hpp"
#include "collectors/sample.hpp"
#include "config/settings.hpp"

namespace perjoule {

struct Observation {
  SeriesId series{};
  const Metric* metric = nullptr;
  std::string_view label_values;  // as Batch keeps them: each followed by a NUL
  Origin origin = Origin::counter;
  std::optional<double> value;  // a gauge's number; of energy: mean power of the interval, or the power that was read
  std::int64_t booked = 0;      // millionths
  std::int64_t unobserved_us = 0;
  std::int64_t steady_ns = 0;
  std::int64_t stale_after_ns = 0;
  std::int64_t interval_us = 0;  // since the reading before, over a restart too; 0: the first one, or across a boot
};

// Where a row says what it derived. Good during one call of derive().
class Derivation {
 public:
  using Values = std::initializer_list<std::string_view>;  // of the labels, in the order of the metric
  virtual ~Derivation() = default;
  virtual void show(const Metric& gauge, Values labels, double value) = 0;
  // Adds to a persisted counter; its total is shown once it is committed, also when `millionths` is 0.
  virtual void book(const Metric& counter, Values labels, std::int64_t millionths) = 0;
  virtual void remove(const Metric& metric, Values labels) = 0;
};

class Row {
 public:
  virtual ~Row() = default;
  [[nodiscard]] virtual std::span<const Metric* const> inputs() const = 0;
  [[nodiscard]] virtual std::span<const Metric* const> outputs() const = 0;
  // Its series are those of the device whose batch is in hand, and leave when that device is closed.
  [[nodiscard]] virtual bool of_device() const { return false; }
  virtual void configure(const config::Efficiency& /*settings*/) {}
  virtual void observe(const Observation& observation) = 0;
  virtual void derive(const Stamp& stamp, Derivation& derivation) = 0;
};

// In the order of dependency.
using Rows = std::vector<std::unique_ptr<Row>>;

}  // namespace perjoule
