#include "daemon/alerts/evaluate/window.hpp"

#include <algorithm>

#include "daemon/query/evaluate/extrapolate.hpp"

namespace perjoule::alerts {

void Window::add(std::int64_t at_ms, double value) {
  constexpr std::int64_t spacings = 120;
  if (!points_.empty() && at_ms <= points_.back().at_ms) return;
  if (is_counter()) {
    if (!points_.empty() && value < read_) fallen_ += read_;
    read_ = value;
  }
  while (!points_.empty() && points_.front().at_ms < at_ms - window_ms_)
    points_.pop_front();
  const std::size_t size = points_.size();
  // Merge into the newest point until it is far enough from the one before it.
  if (size >= 2 && points_[size - 1].at_ms - points_[size - 2].at_ms < window_ms_ / spacings) {
    merge(points_.back(), at_ms, value);
    return;
  }
  const double corrected = is_counter() ? value + fallen_ : value;
  points_.push_back({at_ms, corrected, is_counter() ? value : 1.0});
}

void Window::merge(Point& point, std::int64_t at_ms, double value) const {
  point.at_ms = at_ms;
  switch (function_) {
    case Function::avg:
      point.value = (point.value * point.aside + value) / (point.aside + 1);
      point.aside += 1;
      break;
    case Function::min:
      point.value = std::min(point.value, value);
      break;
    case Function::max:
      point.value = std::max(point.value, value);
      break;
    default:
      point.value = is_counter() ? value + fallen_ : value;
      point.aside = value;
      break;
  }
}

std::optional<double> Window::value(std::int64_t now_ms) const {
  std::size_t first = 0;
  while (first < points_.size() && points_[first].at_ms < now_ms - window_ms_)
    ++first;
  const std::size_t count = points_.size() - first;
  switch (function_) {
    case Function::avg:
    case Function::min:
    case Function::max:
      if (count == 0) return std::nullopt;
      return over_time(first);
    default:
      if (count < 2) return std::nullopt;
      return extrapolated(first, now_ms);
  }
}

double Window::over_time(std::size_t first) const {
  double result = points_[first].value;
  double sum = 0;
  double weight = 0;
  for (std::size_t i = first; i < points_.size(); ++i) {
    const Point& point = points_[i];
    if (function_ == Function::min) result = std::min(result, point.value);
    if (function_ == Function::max) result = std::max(result, point.value);
    sum += point.value * point.aside;
    weight += point.aside;
  }
  return function_ == Function::avg ? sum / weight : result;
}

std::optional<double> Window::extrapolated(std::size_t first, std::int64_t now_ms) const {
  const Point& oldest = points_[first];
  const Point& newest = points_.back();
  if (newest.at_ms <= oldest.at_ms) return std::nullopt;
  const double change = newest.value - oldest.value;
  double factor = query::extrapolation_factor(
      {now_ms - window_ms_, now_ms, oldest.at_ms, newest.at_ms, points_.size() - first, oldest.aside}, change,
      is_counter());
  if (function_ == Function::rate) factor /= static_cast<double>(window_ms_) / 1000;
  return change * factor;
}

}  // namespace perjoule::alerts
