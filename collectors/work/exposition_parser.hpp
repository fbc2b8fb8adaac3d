// Parser of the exposition formats of Prometheus: text format 0.0.4 and OpenMetrics 1.0.
//
// Strict, bounded and pure; any thread. The input comes from files that other users may write and from other servers,
// so it is treated as hostile: nothing is read past the end, only label values and HELP are copied (to remove escapes),
// and the first error ends the parse and is returned with its line and column. The sink may have received samples by
// then: a caller that needs all or nothing keeps them until the end.
//
// The samples of a family must be contiguous, as both formats require; a family that appears again is an error. Two
// samples with the same name and labels are not detected here, since that needs memory for each sample.
//
// Sources: prometheus.io/docs/instrumenting/exposition_formats (0.0.4);
// github.com/prometheus/OpenMetrics, specification/OpenMetrics.md (1.0).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace perjoule {

enum class Dialect : std::uint8_t {
  text,         // Content-Type text/plain; version=0.0.4
  openmetrics,  // Content-Type application/openmetrics-text; version=1.0.0
};

namespace exposition {
inline constexpr std::size_t text_max = std::size_t{4} << 20;
inline constexpr std::size_t labels_max = 64;
inline constexpr std::size_t label_value_max = 1024;  // bytes, without escapes
inline constexpr std::size_t samples_max = 100'000;
inline constexpr std::size_t families_max = 10'000;
}  // namespace exposition

enum class FamilyType : std::uint8_t {
  untyped,  // no TYPE line, "untyped", or OpenMetrics' "unknown"
  gauge,
  counter,
  histogram,
  summary,
  info,  // OpenMetrics only, like the two below
  stateset,
  gauge_histogram,
};

struct ExpositionFamily {
  std::string_view name;  // as on its TYPE line: OpenMetrics' counter `x` has the sample `x_total`
  FamilyType type = FamilyType::untyped;
  std::string_view help;  // without escapes; "" where there is none
  std::string_view unit;  // OpenMetrics only
};

struct ExpositionLabel {
  std::string_view name;
  std::string_view value;  // without escapes
};

// The views are valid until the sink returns.
struct ExpositionSample {
  std::string_view name;
  std::span<const ExpositionLabel> labels;  // in the order of the input
  double value = 0;                         // may be NaN or infinite
  std::optional<double> timestamp_seconds;  // since the epoch
  const ExpositionFamily& family;
};

class ExpositionSink {
 public:
  virtual ~ExpositionSink() = default;
  // "" to continue; else why this sample is refused, which ends the parse with an error at the sample.
  [[nodiscard]] virtual std::string sample(const ExpositionSample& sample) = 0;
};

struct ExpositionError {
  std::size_t line = 0;    // from 1
  std::size_t column = 0;  // in bytes, from 1
  std::string what;        // one line, printable
};

// None if the whole input is valid. Exemplars are checked and dropped.
[[nodiscard]] std::optional<ExpositionError> parse_exposition(std::string_view text, Dialect dialect,
                                                              ExpositionSink& sink);

// The format of an input without a Content-Type: OpenMetrics must end in a line "# EOF", which is only a comment in
// 0.0.4.
[[nodiscard]] Dialect dialect_of(std::string_view text);

}  // namespace perjoule
