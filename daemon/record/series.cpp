#include "daemon/record/series.hpp"

#include <utility>

#include "collectors/labels.hpp"
#include "config/utf8.hpp"

namespace perjoule {

std::string clean_label(std::string_view value, std::size_t bytes_max) {
  std::string clean;
  clean.reserve(value.size());
  while (!value.empty()) {
    const std::size_t length = utf8_length(value);
    std::string_view piece = length == 0 ? std::string_view("\xEF\xBF\xBD") : value.substr(0, length);
    if (length == 1 && static_cast<unsigned char>(value.front()) < 0x20) piece = " ";
    if (clean.size() + piece.size() > bytes_max) break;
    clean.append(piece);
    value.remove_prefix(length == 0 ? 1 : length);
  }
  return clean;
}

std::string label_text(const Metric& metric, std::string_view values) {
  std::string text;
  for (std::size_t i = 0; i < metric.label_count; ++i) {
    const std::size_t end = values.find('\0');
    append_label(text, metric.labels[i], clean_label(values.substr(0, end)));
    values.remove_prefix(end == std::string_view::npos ? values.size() : end + 1);
  }
  return text;
}

std::optional<SeriesId> SeriesTable::identify(const Metric& metric, std::string_view values) {
  std::string key(metric.name);
  key += '\0';
  key += values;
  if (const auto found = ids_.find(key); found != ids_.end()) return found->second;
  // Values that are equal after cleaning are one series, so that no scrape has the same line twice.
  const std::optional<SeriesId> id = adopt(metric, label_text(metric, values));
  if (id) ids_.emplace(std::move(key), *id);
  return id;
}

std::optional<SeriesId> SeriesTable::adopt(const Metric& metric, const std::string& labels) {
  std::string key = std::string(metric.name) + '\0' + '\0' + labels;
  if (const auto found = ids_.find(key); found != ids_.end()) return found->second;
  if (series_.size() >= series_max_) {
    ++refused_;
    return std::nullopt;
  }
  const auto id = static_cast<SeriesId>(series_.size());
  series_.push_back({&metric, labels});
  ids_.emplace(std::move(key), id);
  if (on_new_) on_new_(id, series_.back());
  return id;
}

std::string label_values(std::initializer_list<std::string_view> values) {
  std::string joined;
  for (std::string_view value : values) {
    joined += value;
    joined += '\0';
  }
  return joined;
}

}  // namespace perjoule
