// The families that a textfile may hold, and the series that the textfiles of one tick gave. One thread at a time.
//
// A file is taken whole or not at all: each of its series has a known name, exactly the declared labels, a fitting
// type, no timestamp and a possible value, and stands once in all files together.
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

  // Where `text` is wrong; nothing where all its series were taken. `file` is kept by reference until clear().
  [[nodiscard]] std::optional<ExpositionError> take(std::string_view file, std::string_view text);
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
