// Identity of series: (metric, label values) -> SeriesId, for the life of the process. SeriesTable on the loop's thread
// only; the functions are pure.
//
// Label values come from hardware and files and can hold any bytes. Here they become valid UTF-8 of at most 256 bytes,
// and the number of series is limited, so that a source with ever new names cannot fill memory. Over the limit a new
// series is refused and counted; existing series continue.
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

// Replaces each invalid byte by U+FFFD and each control character below U+0020 by a space, and cuts at the last whole
// character within `bytes_max`.
[[nodiscard]] std::string clean_label(std::string_view value, std::size_t bytes_max = 256);

class SeriesTable {
 public:
  struct Series {
    const Metric* metric = nullptr;
    std::string labels;  // label_text()
  };
  using OnNew = std::function<void(SeriesId, const Series&)>;

  SeriesTable(std::size_t series_max, OnNew on_new) : series_max_(series_max), on_new_(std::move(on_new)) {}

  // The id of a series; a new series gets the next number and is passed to `on_new`. nullopt: the limit is reached.
  // `values`: label values, each followed by a NUL.
  [[nodiscard]] std::optional<SeriesId> identify(const Metric& metric, std::string_view values);
  // The same for labels in the form of label_text(), as the ledger's keys hold them.
  [[nodiscard]] std::optional<SeriesId> adopt(const Metric& metric, const std::string& labels);
  [[nodiscard]] const Series& operator[](SeriesId id) const { return series_[static_cast<std::size_t>(id)]; }
  [[nodiscard]] std::size_t size() const { return series_.size(); }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  std::size_t series_max_;
  OnNew on_new_;
  std::vector<Series> series_;  // by SeriesId
  // By metric name, NUL, label values; and by metric name, two NULs, label_text().
  std::unordered_map<std::string, SeriesId> ids_;
  std::uint64_t refused_ = 0;
};

// Label values joined as Batch keeps them: each followed by a NUL.
[[nodiscard]] std::string label_values(std::initializer_list<std::string_view> values);

}  // namespace perjoule
