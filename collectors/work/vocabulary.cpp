#include "collectors/work/vocabulary.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstdint>
#include <utility>

#include "collectors/sensor_metrics.hpp"
#include "collectors/work/metrics.hpp"

namespace perjoule {

namespace {

constexpr double millionths_per_unit = 1e6;
constexpr double count_max = 9e12;  // in millionths it still fits into 63 bits

using Labels = std::array<std::string, Vocabulary::labels_max>;

// Counters go through the ledger, so that the total does not fall when the counting program restarts: it then counts
// from 0. The plausible rate of work is not known; the gate of 1e9 per second only stops absurd jumps.
constexpr double work_rate_max = 1e9;

template <Unit U, Kind K, std::size_t N>
void put(Batch& batch, const Declared<U, K, N>& metric, double value, const Labels& labels) {
  const auto with = [&]<std::size_t... I>(std::index_sequence<I...>) {
    if constexpr (K == Kind::counter) {
      CounterReading counter;
      counter.value = static_cast<std::uint64_t>(std::llround(value * millionths_per_unit));
      counter.rate_max = work_rate_max;
      counter.from_zero = true;
      batch.meter(metric, nullptr, counter, labels[I]...);
    } else {
      batch.add(metric, QuantityMaker::make<U>(value), labels[I]...);
    }
  };
  with(std::make_index_sequence<N>());
}

struct Word {
  const Metric* metric;
  void (*put)(Batch& batch, double value, const Labels& labels);
};

template <const auto& metric>
constexpr Word word() {
  static_assert(metric.label_count <= Vocabulary::labels_max);
  return {&metric, [](Batch& batch, double value, const Labels& labels) { put(batch, metric, value, labels); }};
}

constexpr std::array words = {word<facility_power>(), word<circuit_current>(),
                              word<circuit_rating>(), word<phase_imbalance>(),
                              word<work>(),           word<sensor_temperature>()};

constexpr auto metric_list = [] {
  std::array<const Metric*, words.size()> list = {};
  for (std::size_t i = 0; i < words.size(); ++i)
    list[i] = words[i].metric;
  return list;
}();

std::span<const std::string_view> label_names(const Metric& metric) {
  return std::span(metric.labels).first(metric.label_count);
}

std::string check_value(const Metric& metric, double value) {
  if (!std::isfinite(value)) return "the value is not finite: omit a series whose value is unknown";
  const double lowest = metric.unit == Unit::celsius ? -273.15 : 0;
  if (value < lowest) return fmt::format("{} is below {}, the minimum of {}", value, lowest, metric.name);
  if (metric.kind == Kind::counter && value > count_max) return fmt::format("the counter exceeds {}", count_max);
  return {};
}

std::string check_type(const Metric& metric, FamilyType type) {
  const FamilyType declared = metric.kind == Kind::counter ? FamilyType::counter : FamilyType::gauge;
  if (type == declared || type == FamilyType::untyped) return {};
  return fmt::format("{} is a {}", metric.name, metric.kind == Kind::counter ? "counter" : "gauge");
}

// Puts the label values into the order of the declaration. Returns what is wrong, or "".
std::string order_labels(const Metric& metric, std::span<const ExpositionLabel> given, Labels& out) {
  const auto names = label_names(metric);
  std::size_t found = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    for (const ExpositionLabel& label : given) {
      if (label.name != names[i]) continue;
      if (label.value.empty()) return fmt::format("label {} is empty", label.name);
      out[i] = label.value;
      ++found;
    }
  }
  if (found == names.size() && given.size() == names.size()) return {};
  return fmt::format("{} must have exactly the labels {}", metric.name, fmt::join(names, ", "));
}

}  // namespace

// Collects the series of one file, checked against those of the files before it.
class Vocabulary::Sink final : public ExpositionSink {
 public:
  Sink(const std::map<Series, Given>& before, std::string_view file) : before_(before), file_(file) {}

  std::string sample(const ExpositionSample& sample) override {
    std::size_t index = 0;
    while (index < words.size() && words[index].metric->name != sample.name)
      ++index;
    if (index == words.size())
      return fmt::format("{} is not a metric that a textfile may contain", sample.name.substr(0, 100));
    const Metric& metric = *words[index].metric;
    Series series{index, {}};
    std::string why = check_type(metric, sample.family.type);
    if (why.empty()) why = order_labels(metric, sample.labels, series.labels);
    if (why.empty() && sample.timestamp_seconds)
      why = "timestamps are not allowed: the file's modification time is used";
    if (why.empty()) why = check_value(metric, sample.value);
    if (why.empty() && &metric == &sensor_temperature && series.labels[2] != "inlet") {
      why = "a temperature in a textfile must have role=\"inlet\"";
    }
    if (!why.empty()) return why;
    return add(std::move(series), sample.value);
  }

  std::map<Series, Given>& series() { return series_; }

 private:
  std::string add(Series series, double value) {
    if (const auto other = before_.find(series); other != before_.end()) {
      return fmt::format("the same series is already in {}", other->second.file);
    }
    if (before_.size() + series_.size() == series_max)
      return fmt::format("more than {} series in all textfiles", series_max);
    if (!series_.emplace(std::move(series), Given{value, file_}).second)
      return "the same series is already in this file";
    return {};
  }

  const std::map<Series, Given>& before_;
  std::string_view file_;
  std::map<Series, Given> series_;
};

std::optional<ExpositionError> Vocabulary::add_file(std::string_view file, std::string_view text) {
  Sink sink(series_, file);
  std::optional<ExpositionError> error = parse_exposition(text, dialect_of(text), sink);
  if (!error) series_.merge(sink.series());
  return error;
}

void Vocabulary::emit(Batch& batch) const {
  for (const auto& [series, given] : series_)
    words[series.word].put(batch, given.value, series.labels);
}

std::span<const Metric* const> Vocabulary::metrics() {
  return metric_list;
}

}  // namespace perjoule
