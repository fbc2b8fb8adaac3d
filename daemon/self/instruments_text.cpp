#include "daemon/self/instruments_text.hpp"

#include <fmt/format.h>

#include <cmath>
#include <initializer_list>
#include <map>
#include <memory>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "collectors/labels.hpp"
#include "config/text.hpp"

namespace perjoule {

namespace {

// `{a="b"}`, or "" without labels.
std::string label_set(const prometheus::Labels& labels) {
  const std::string text = label_text({labels.begin(), labels.end()});
  return text.empty() ? text : '{' + text + '}';
}

template <class T>
std::string header_of(const Metric& metric, Format format) {
  std::string header = family_header(metric, format);
  if (std::is_same_v<T, prometheus::Histogram>) header.replace(header.find(" gauge\n"), 7, " histogram\n");
  return header;
}

// A bucket's upper bound. OpenMetrics requires canonical floats, such as 1.0 and 0.0001 where the shortest form would
// be 1 and 1e-04.
std::string bound(double value) {
  if (!std::isfinite(value)) return "+Inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

void append_line(std::string& out, std::initializer_list<std::string_view> parts, double value) {
  for (const std::string_view part : parts)
    out += part;
  out += ' ';
  text::append_number(out, value);
  out += '\n';
}

void append_value(std::string& out, const Shown<prometheus::Counter>& shown) {
  append_line(out, {shown.metric->name, shown.labels}, shown.instrument->Value());
}

void append_value(std::string& out, const Shown<prometheus::Gauge>& shown) {
  append_line(out, {shown.metric->name, shown.labels}, shown.instrument->Value());
}

void append_value(std::string& out, const Shown<prometheus::Histogram>& shown) {
  const std::string_view name = shown.metric->name;
  const std::string& labels = shown.labels;
  const std::string before = labels.empty() ? "{" : labels.substr(0, labels.size() - 1) + ',';
  const prometheus::ClientMetric::Histogram histogram = shown.instrument->Collect().histogram;
  for (const auto& bucket : histogram.bucket) {
    append_line(out, {name, "_bucket", before, "le=\"", bound(bucket.upper_bound), "\"}"},
                static_cast<double>(bucket.cumulative_count));
  }
  append_line(out, {name, "_sum", labels}, histogram.sample_sum);
  append_line(out, {name, "_count", labels}, static_cast<double>(histogram.sample_count));
}

}  // namespace

namespace {

// Counters without `_total`, which a declared metric cannot be.
struct Parts {
  explicit Parts(const Metric& metric) {
    for (const auto& [name, suffix, part] :
         {std::tuple(&names[0], "_bucket", &bucket), std::tuple(&names[1], "_sum", &sum),
          std::tuple(&names[2], "_count", &count)}) {
      *name = std::string(metric.name) + suffix;
      *part = metric;
      part->name = *name;
      part->kind = Kind::counter;
      if (part != &sum) part->unit = Unit::none;
    }
  }
  std::array<std::string, 3> names;
  Metric bucket, sum, count;
};

const Parts& parts_of(const Metric& metric) {
  static std::map<const Metric*, std::unique_ptr<const Parts>> all;  // the caller holds the lock of the list
  std::unique_ptr<const Parts>& parts = all[&metric];
  if (!parts) parts = std::make_unique<const Parts>(metric);
  return *parts;
}

}  // namespace

void visit_parts(const Shown<prometheus::Histogram>& shown, const Latest::Each& each) {
  const Parts& parts = parts_of(*shown.metric);
  const std::string labels = shown.labels.empty() ? "" : shown.labels.substr(1, shown.labels.size() - 2);
  const prometheus::ClientMetric::Histogram histogram = shown.instrument->Collect().histogram;
  for (const auto& bucket : histogram.bucket) {
    each(parts.bucket, fmt::format("{}{}le=\"{}\"", labels, labels.empty() ? "" : ",", bound(bucket.upper_bound)),
         static_cast<double>(bucket.cumulative_count));
  }
  each(parts.sum, labels, histogram.sample_sum);
  each(parts.count, labels, static_cast<double>(histogram.sample_count));
}

template <class T>
T& keep(std::vector<Shown<T>>& shown, const Metric& metric, const prometheus::Labels& labels, T& instrument) {
  const std::array headers = {header_of<T>(metric, Format::text), header_of<T>(metric, Format::openmetrics)};
  shown.push_back({&metric, headers, label_set(labels), &instrument});
  return instrument;
}

template <class T>
void append_all(std::string& out, Format format, const Latest::Admit& admit, const std::vector<Shown<T>>& all) {
  const Metric* family = nullptr;
  for (const Shown<T>& shown : all) {
    if (admit && !admit(*shown.metric)) continue;
    if (shown.metric != family) out += shown.headers[static_cast<std::size_t>(format)];
    family = shown.metric;
    append_value(out, shown);
  }
}

template prometheus::Counter& keep(std::vector<Shown<prometheus::Counter>>&, const Metric&, const prometheus::Labels&,
                                   prometheus::Counter&);
template void append_all(std::string&, Format, const Latest::Admit&, const std::vector<Shown<prometheus::Counter>>&);
template prometheus::Gauge& keep(std::vector<Shown<prometheus::Gauge>>&, const Metric&, const prometheus::Labels&,
                                 prometheus::Gauge&);
template void append_all(std::string&, Format, const Latest::Admit&, const std::vector<Shown<prometheus::Gauge>>&);
template prometheus::Histogram& keep(std::vector<Shown<prometheus::Histogram>>&, const Metric&,
                                     const prometheus::Labels&, prometheus::Histogram&);
template void append_all(std::string&, Format, const Latest::Admit&, const std::vector<Shown<prometheus::Histogram>>&);

}  // namespace perjoule
