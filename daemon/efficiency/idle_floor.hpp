// Learns the power of a GPU in deep idle: the 5th percentile of its power in that state. The minimum would not do: a
// single outlier would make it wrong for ever. Pure; one thread at a time. Power in watts, time in seconds.
//
// A histogram with bins of one watt, weighted by time. A weight is halved by each seven days of deep idle after it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace perjoule {

class IdleFloor {
 public:
  static constexpr double watts_max = 2000;
  static constexpr double known_after_seconds = 300;

  // Power outside 0 to `watts_max` is ignored.
  void add(double watts, double seconds);
  // None until `known_after_seconds` of deep idle are counted.
  [[nodiscard]] std::optional<double> watts() const;

  // "WATTS:SECONDS ..." for the ledger, and back. `from` stops at the first item that it cannot read.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] static IdleFloor from(std::string_view text);

 private:
  std::vector<double> seconds_;  // by whole watts
  double total_ = 0;
};

}  // namespace perjoule
