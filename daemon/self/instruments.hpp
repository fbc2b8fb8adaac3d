// The daemon's metrics about itself: counters, gauges and histograms of prometheus-cpp in one registry, made from
// Metric constants. They are written by instruments_text, because the text writer of prometheus-cpp 1.0.1 does not
// escape HELP and does not support OpenMetrics.
//
// With instruments_text the only user of prometheus-cpp. Thread-safe: the loop and the web thread count, the web thread
// writes.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "collectors/metric.hpp"
#include "daemon/http/server.hpp"
#include "daemon/record/latest.hpp"
#include "storage/sink.hpp"

namespace perjoule {

struct BuildInfo {
  std::string version;
  std::string revision;
  std::string branch;
  std::string compiler;
};

class Instruments {
 public:
  explicit Instruments(const BuildInfo& build);
  ~Instruments();
  Instruments(const Instruments&) = delete;
  Instruments& operator=(const Instruments&) = delete;

  void storage(const storage::Report& report);
  // How long the commit under way has lasted; 0: none is.
  void commit_pending(double seconds);
  void http(const http::Stats& stats);
  void scrape(std::size_t bytes, double seconds);
  // Counts an answer of the API with its HTTP status.
  void query(unsigned status);
  void lateness(double seconds);
  void reload(bool successful, double epoch_seconds);
  void series(std::size_t fresh, std::uint64_t refused);
  void expired_totals(std::uint64_t count);
  // Log lines lost since the start.
  void log_dropped(std::uint64_t lines);
  // Reads /proc/self and the process clock. `watts_per_busy_cpu` > 0: the daemon's own energy is modelled from it.
  void process(double watts_per_busy_cpu);

  void write(std::string& out, Format format, const Latest::Admit& admit = {}) const;
  // Every counter and gauge, with its labels as a string (`a="b"`).
  void visit(const Latest::Each& each) const;
  // Every part of every histogram: `_bucket` with the label `le`, `_sum`, `_count`.
  void visit_histograms(const Latest::Each& each) const;
  // Every family of the instruments, for `describe` and the tests.
  [[nodiscard]] static std::span<const Metric* const> metrics();
  // True for a family that is written as a histogram. Its Metric has Kind gauge, because Kind has no histogram:
  // collectors read none.
  [[nodiscard]] static bool is_histogram(const Metric& metric);

 private:
  void reach(const storage::StoreSize& size);
  struct Families;
  std::unique_ptr<Families> families_;
};

}  // namespace perjoule
