// The families that a textfile may contain, and the series of the textfiles read in one tick. One thread at a time.
//
// A file is accepted whole or not at all: each of its series must have a known name, exactly the declared labels, the
// declared type, no timestamp and a possible value, and must be in one file only, once.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "collectors/batch.hpp"
#include "collectors/work/exposition_parser.hpp"

namespace perjoule {

class Vocabulary {
 public:
  static constexpr std::size_t labels_max = 3;
  static constexpr std::size_t series_max = 10'000;  // of all files together

  // The first error in `text`; none if all its series were accepted. `file` is kept by reference until clear().
  [[nodiscard]] std::optional<ExpositionError> add_file(std::string_view file, std::string_view text);
  void emit(Batch& batch) const;
  void clear() { series_.clear(); }

  [[nodiscard]] static std::span<const Metric* const> metrics();

 private:
  struct Series {
    std::size_t word = 0;  // index in metrics()
    std::array<std::string, labels_max> labels;
    friend auto operator<=>(const Series&, const Series&) = default;
  };
  struct Given {
    double value = 0;
    std::string_view file;
  };
  class Sink;
  std::map<Series, Given> series_;
};

}  // namespace perjoule
