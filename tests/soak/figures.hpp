// Measuring and reporting of violations for the soaks of the history.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "collectors/result.hpp"

namespace perjoule {

// Prints the first 20 violations as they occur, and counts the others.
class Verdict {
 public:
  void violation(const std::string& what) {
    constexpr int printed_max = 20;
    if (++count_ <= printed_max) say(fmt::format("VIOLATION {}", what));
  }
  void expect(bool holds, const std::string& what) {
    if (!holds) violation(what);
  }
  static void say(const std::string& line) {
    fmt::print("{}\n", line);
    std::fflush(stdout);
  }
  [[nodiscard]] int count() const { return count_; }

 private:
  int count_ = 0;
};

[[noreturn]] inline void give_up(const std::string& what) {
  fmt::print("VIOLATION {}\n", what);
  std::exit(1);
}

template <class T>
T need(Result<T> result) {
  if (!result) give_up(result.error().what);
  return std::move(*result);
}

inline void need(const Result<void>& result) {
  if (!result) give_up(result.error().what);
}

inline double cpu_ms() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

// Statistics of a repeated measurement.
class Spread {
 public:
  void add(double value) { values_.push_back(value); }
  [[nodiscard]] std::size_t count() const { return values_.size(); }
  // Of the values with index [from, to), in the order in which they were added.
  [[nodiscard]] double median(std::size_t from = 0, std::size_t to = SIZE_MAX) const {
    to = std::min(to, values_.size());
    if (from >= to) return 0;
    std::vector<double> part(values_.begin() + static_cast<std::ptrdiff_t>(from),
                             values_.begin() + static_cast<std::ptrdiff_t>(to));
    const auto middle = part.begin() + static_cast<std::ptrdiff_t>(part.size() / 2);
    std::nth_element(part.begin(), middle, part.end());
    return *middle;
  }
  [[nodiscard]] double worst() const { return values_.empty() ? 0 : *std::max_element(values_.begin(), values_.end()); }

 private:
  std::vector<double> values_;
};

// A line of /proc/self/status, in MiB: "VmRSS:", "VmHWM:".
inline double status_mib(const std::string& wanted) {
  std::ifstream file("/proc/self/status");
  std::string name;
  while (file >> name) {
    double kib = 0;
    if (name == wanted && file >> kib) return kib / 1024;
    file.ignore(4096, '\n');
  }
  return 0;
}

inline double mib(std::int64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

}  // namespace perjoule
