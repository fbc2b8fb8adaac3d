// The power of a GPU in deep idle, learnt: the 5th percentile of its power over the last days in that state (the
// minimum ever seen would be one outlier, and wrong for good). Pure; one thread at a time.
//
// A histogram of one watt per bin, weighted by time; older time counts half after seven days of deep idle.
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

  // Power outside of 0 to `watts_max` is not counted.
  void add(double watts, double seconds);
  // None until `known_after_seconds` of deep idle have been seen.
  [[nodiscard]] std::optional<double> watts() const;

  // "WATTS:SECONDS ..." for the ledger, and back. What cannot be read is left out.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] static IdleFloor from(std::string_view text);

 private:
  std::vector<double> seconds_;  // by whole watts
  double total_ = 0;
};

}  // namespace perjoule
