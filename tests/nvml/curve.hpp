// A quantity of a scenario over time, as its JSON gives it:
//
//   70                                          constant
//   {"steps": [[0, 70], [60, 650]]}             each value from its time on; before the first one the first
//   {"points": [[0, 70], [10, 650]]}            straight lines between, constant outside
//   {"steps": [...], "period": 120}             repeated: the times lie in [0, period)
//   {"error": 3}                                an NVML return value instead of a number; also as a value of a step
//   "not_available"                             all ones; also as a value of a step
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace perjoule::stand_in {

// The answer to one query.
struct Answer {
  double value = 0;
  std::uint32_t error = 0;     // NVML return value; 0: `value` holds
  bool not_available = false;  // a success whose value is all ones
};

class Curve {
 public:
  Curve() = default;
  explicit Curve(double constant) : points_{{0, {constant, 0, false}}} {}
  static Curve failing(std::uint32_t error);

  // On invalid JSON `problem` is set to the error.
  static Curve parse(const nlohmann::json& json, std::string& problem);

  [[nodiscard]] Answer at(double seconds) const;
  // The integral of the value over time from 0; errors count as 0.
  [[nodiscard]] double integral(double seconds) const;
  // Seconds at which the value became at least 1, up to `seconds` (not repeated ones).
  [[nodiscard]] std::vector<double> rises(double seconds) const;

 private:
  struct Point {
    double at = 0;
    Answer answer;
  };
  [[nodiscard]] double integral_within(double seconds) const;
  std::vector<Point> points_;
  bool linear_ = false;
  double period_ = 0;
};

}  // namespace perjoule::stand_in
