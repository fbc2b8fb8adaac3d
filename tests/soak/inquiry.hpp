// Queries a growing history: ranges of a day, a month and a year, over one series and over ten. Measures how long the
// answers take and compares them with the known past (tests/soak/past.hpp).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "storage/history/history_reader.hpp"
#include "tests/soak/figures.hpp"
#include "tests/soak/past.hpp"

namespace perjoule {

class Inquiry {
 public:
  // Limit for an answer of up to `answers_shown` points or buckets (a hundred panels); in proportion for larger ones.
  static constexpr double answer_ms_max = 50;
  static constexpr std::size_t answers_shown = 100'000;

  Inquiry(std::filesystem::path path, const Past& past, Verdict& verdict)
      : path_(std::move(path)), past_(past), verdict_(verdict) {}

  // Asks every question once.
  void round();
  // Prints the median and worst time of each question; a slow one is a violation.
  void conclude();
  [[nodiscard]] std::int64_t compared() const { return compared_; }

 private:
  struct Question {
    const char* name = "";
    storage::Resolution resolution = storage::Resolution::raw;
    std::int64_t span_ms = 0;
    std::size_t series = 1;
  };
  struct Times {
    Spread wall_ms;
    Spread cpu_ms;
    std::size_t answers_most = 0;
  };
  static const Question questions[];

  void ask(storage::Connection& connection, const Question& question);
  void check_raw(const std::string& where, std::size_t series, const std::vector<storage::Point>& answer,
                 std::int64_t from_ms);
  void check_buckets(const std::string& where, std::size_t series, const std::vector<storage::Bucket>& answer,
                     std::int64_t from_ms, std::int64_t width_ms);
  void compare_window(const std::string& where, std::size_t series, const std::vector<storage::Bucket>& answer,
                      std::int64_t width_ms);

  std::filesystem::path path_;
  const Past& past_;
  Verdict& verdict_;
  std::mt19937_64 random_{7};
  std::map<std::string, std::size_t> series_of_labels_;
  std::vector<std::int64_t> ids_;  // of the file, by series of the past
  std::map<std::string, Times> times_;
  std::int64_t compared_ = 0;
};

}  // namespace perjoule
