// Identity of series: (metric, label values) -> SeriesId, for the life of the process. Loop's thread only.
//
// Label values come from hardware and files: here they become valid UTF-8 of at most 256 bytes, and the number of
// series is bounded. Beyond the bound a new series is refused and counted; those that exist go on.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "collectors/metric.hpp"
#include "collectors/sample.hpp"

namespace perjoule {

// `a="b",c="d"` with the escapes of the exposition format; `values` are the label values, each followed by a NUL.
[[nodiscard]] std::string label_text(const Metric& metric, std::string_view values);

// Invalid bytes become U+FFFD, control characters a space, and what is longer than `bytes_max` is cut at a character.
[[nodiscard]] std::string clean_label(std::string_view value, std::size_t bytes_max = 256);

class SeriesTable {
 public:
  struct Series {
    const Metric* metric = nullptr;
    std::string labels;  // label_text()
  };
  using OnNew = std::function<void(SeriesId, const Series&)>;

  SeriesTable(std::size_t series_max, OnNew on_new) : series_max_(series_max), on_new_(std::move(on_new)) {}

  // nullopt: the bound is reached.
  [[nodiscard]] std::optional<SeriesId> identify(const Metric& metric, std::string_view values);
  // The same for labels that are already text, as a ledger keeps them.
  [[nodiscard]] std::optional<SeriesId> adopt(const Metric& metric, const std::string& labels);
  [[nodiscard]] const Series& operator[](SeriesId id) const { return series_[static_cast<std::size_t>(id)]; }
  [[nodiscard]] std::size_t size() const { return series_.size(); }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  std::size_t series_max_;
  OnNew on_new_;
  std::vector<Series> series_;
  std::unordered_map<std::string, SeriesId> ids_;  // metric name, NUL, label values
  std::uint64_t refused_ = 0;
};

// Label values joined as Batch keeps them.
[[nodiscard]] std::string label_values(std::initializer_list<std::string_view> values);

}  // namespace perjoule
