// Identity of series: (metric, label values) -> SeriesId. An id is given once and never again; a series that is not
// used any more is dropped, and gets another id when it comes back. SeriesTable on the loop's thread only; the
// functions are pure.
//
// Label values come from hardware and files and can hold any bytes. Here they become valid UTF-8 of at most 256 bytes.
// The number of series is limited in all and per source, so that a source with ever new names can neither fill memory
// nor take the room of the others. Over a limit a new series is refused and counted; existing series continue.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "collectors/metric.hpp"
#include "collectors/sample.hpp"

namespace perjoule {

// `a="b",c="d"` with the escapes of the exposition format; `values` are the label values, each followed by a NUL.
[[nodiscard]] std::string label_text(const Metric& metric, std::string_view values);

// The key of a persisted counter's total in the ledger: `name{label="value"}`, with the labels that are its identity.
[[nodiscard]] std::string ledger_key(const Metric& metric, std::string_view values);

// Replaces each invalid byte by U+FFFD and each control character below U+0020 by a space, and cuts at the last whole
// character within `bytes_max`.
[[nodiscard]] std::string clean_label(std::string_view value, std::size_t bytes_max = 256);

struct SeriesLimits {
  std::size_t all = 20'000;
  std::size_t of_source = 10'000;
};

class SeriesTable {
 public:
  struct Series {
    SeriesId id{};
    const Metric* metric = nullptr;  // null: no series has this place
    std::string labels;              // label_text()
    std::string_view source;         // whose budget it counts on; lives as long as the table
    std::int64_t used_ns = 0;        // steady clock: when it last had a sample
    std::uint64_t pass = 0;          // Recorder: the last pass that met it
  };
  using OnNew = std::function<void(SeriesId, const Series&)>;

  SeriesTable(SeriesLimits limits, OnNew on_new) : limits_(limits), on_new_(std::move(on_new)) {}

  // The id of a series; a new series gets the next number and is passed to `on_new`. nullopt: a limit is reached.
  // `values`: label values, each followed by a NUL. `source`: of a new series; "" is the daemon itself.
  [[nodiscard]] std::optional<SeriesId> identify(const Metric& metric, std::string_view values,
                                                 std::string_view source = {});
  // The same for labels in the form of label_text(), as the ledger's keys hold them.
  [[nodiscard]] std::optional<SeriesId> adopt(const Metric& metric, const std::string& labels,
                                              std::string_view source = {});
  // The time that a series is given as its last use when it is identified.
  void set_now(std::int64_t steady_ns) { now_ns_ = steady_ns; }
  // How many more series this source may have, and whether that is less than a tenth of its room.
  [[nodiscard]] std::size_t room(std::string_view source) const;
  [[nodiscard]] bool is_tight(std::string_view source) const;
  // Forgets these series; their ids are never used again.
  void drop(const std::unordered_set<SeriesId>& ids);

  // `id` is in the table.
  [[nodiscard]] const Series& operator[](SeriesId id) const { return places_[place_of(id)]; }
  [[nodiscard]] Series& operator[](SeriesId id) { return places_[place_of(id)]; }
  // Whether it is in the table: was given, and not dropped.
  [[nodiscard]] bool contains(SeriesId id) const;
  // By place; one whose metric is null has no series.
  [[nodiscard]] const std::vector<Series>& places() const { return places_; }
  // The ids in the table from `first` on, ascending.
  [[nodiscard]] std::vector<SeriesId> since(SeriesId first) const;
  // Series that are new from now on have this id or larger ones.
  [[nodiscard]] SeriesId next() const { return static_cast<SeriesId>(given_ << place_bits); }
  // The number of series that there ever were, and of those in the table.
  [[nodiscard]] std::uint64_t given() const { return given_; }
  [[nodiscard]] std::size_t size() const { return places_.size() - free_.size(); }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }
  // By source, "" for the daemon itself.
  [[nodiscard]] const std::map<std::string, std::uint64_t, std::less<>>& refused_by_source() const {
    return refused_by_source_;
  }

 private:
  [[nodiscard]] std::size_t count(std::string_view source) const;

  SeriesLimits limits_;
  OnNew on_new_;
  std::vector<Series> places_;
  std::vector<std::size_t> free_;  // places without a series
  std::map<std::string, std::size_t, std::less<>> of_source_;
  // By metric name, NUL, label values; and by metric name, two NULs, label_text().
  std::unordered_map<std::string, SeriesId> ids_;
  std::uint64_t given_ = 0;
  std::int64_t now_ns_ = 0;
  std::uint64_t refused_ = 0;
  std::map<std::string, std::uint64_t, std::less<>> refused_by_source_;  // its keys are the names of collectors
};

// Label values joined as Batch keeps them: each followed by a NUL.
[[nodiscard]] std::string label_values(std::initializer_list<std::string_view> values);

}  // namespace perjoule
