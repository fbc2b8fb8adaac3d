#include "tests/nvml/curve.hpp"

#include <algorithm>
#include <cmath>

namespace perjoule::stand_in {

namespace {

bool parse_answer(const nlohmann::json& json, Answer& answer) {
  if (json.is_number()) answer.value = json.get<double>();
  if (json.is_boolean()) answer.value = json.get<bool>() ? 1 : 0;
  if (json.is_number() || json.is_boolean()) return true;
  if (json.is_string()) {
    answer.not_available = json.get<std::string>() == "not_available";
    return answer.not_available;
  }
  if (!json.is_object() || json.size() != 1 || !json.contains("error")) return false;
  if (!json["error"].is_number_unsigned()) return false;
  answer.error = json["error"].get<std::uint32_t>();
  return answer.error != 0;
}

}  // namespace

Curve Curve::failing(std::uint32_t error) {
  Curve curve;
  curve.points_ = {{0, {0, error, false}}};
  return curve;
}

Curve Curve::parse(const nlohmann::json& json, std::string& problem) {
  Curve curve;
  Answer constant;
  if (parse_answer(json, constant)) {
    curve.points_ = {{0, constant}};
    return curve;
  }
  const auto refuse = [&](const char* why) {
    problem = std::string(why) + ": " + json.dump();
    return Curve(0);
  };
  if (!json.is_object()) return refuse("neither a number nor an object with steps or points");
  for (const auto& [key, value] : json.items()) {
    if (key != "steps" && key != "points" && key != "period") return refuse("unknown key in a curve");
  }
  if (json.contains("steps") == json.contains("points")) return refuse("a curve must have either steps or points");
  curve.linear_ = json.contains("points");
  const nlohmann::json& list = curve.linear_ ? json["points"] : json["steps"];
  if (!list.is_array() || list.empty()) return refuse("not a list of [seconds, value]");
  for (const auto& entry : list) {
    Point point;
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_number() || !parse_answer(entry[1], point.answer)) {
      return refuse("not [seconds, value]");
    }
    point.at = entry[0].get<double>();
    if (!curve.points_.empty() && point.at <= curve.points_.back().at) return refuse("times must increase");
    if (curve.linear_ && (point.answer.error != 0 || point.answer.not_available))
      return refuse("points must be numbers");
    curve.points_.push_back(point);
  }
  if (json.contains("period")) {
    if (!json["period"].is_number() || json["period"].get<double>() <= curve.points_.back().at ||
        curve.points_.front().at < 0) {
      return refuse("the period must be greater than the last time, and the first time at least 0");
    }
    curve.period_ = json["period"].get<double>();
  }
  return curve;
}

Answer Curve::at(double seconds) const {
  if (points_.empty()) return {};
  if (period_ > 0) seconds -= std::floor(seconds / period_) * period_;
  const auto next = std::upper_bound(points_.begin(), points_.end(), seconds,
                                     [](double time, const Point& point) { return time < point.at; });
  if (next == points_.begin()) return next->answer;
  const Point& before = *std::prev(next);
  if (!linear_ || next == points_.end()) return before.answer;
  Answer answer = before.answer;
  answer.value += (next->answer.value - before.answer.value) * (seconds - before.at) / (next->at - before.at);
  return answer;
}

// From 0 to `seconds`, within one period.
double Curve::integral_within(double seconds) const {
  const auto number = [](const Answer& answer) {
    return answer.error != 0 || answer.not_available ? 0.0 : answer.value;
  };
  double sum = 0;
  double from = 0;
  double value = number(at(0));
  for (std::size_t i = 0; i <= points_.size(); ++i) {
    const double until = i < points_.size() ? std::min(points_[i].at, seconds) : seconds;
    if (until <= from) {
      if (i < points_.size() && points_[i].at <= 0) value = number(points_[i].answer);
      continue;
    }
    const double reached = linear_ ? number(at(until)) : value;
    sum += (value + (linear_ ? reached : value)) / 2 * (until - from);
    from = until;
    if (i < points_.size()) value = linear_ ? reached : number(points_[i].answer);
    if (from >= seconds) break;
  }
  return sum;
}

double Curve::integral(double seconds) const {
  if (points_.empty() || seconds <= 0) return 0;
  if (period_ <= 0) return integral_within(seconds);
  const double rounds = std::floor(seconds / period_);
  return rounds * integral_within(std::nextafter(period_, 0.0)) + integral_within(seconds - rounds * period_);
}

std::vector<double> Curve::rises(double seconds) const {
  std::vector<double> times;
  bool high = false;
  for (const Point& point : points_) {
    if (point.at > seconds) break;
    if (point.answer.value >= 1 && !high) times.push_back(point.at);
    high = point.answer.value >= 1;
  }
  return times;
}

}  // namespace perjoule::stand_in
