#include "daemon/record/series.hpp"

#include <algorithm>
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

std::optional<SeriesId> SeriesTable::identify(const Metric& metric, std::string_view values, std::string_view source) {
  std::string key(metric.name);
  key += '\0';
  key += values;
  if (const auto found = ids_.find(key); found != ids_.end()) {
    series_.at(found->second).used_ns = now_ns_;
    return found->second;
  }
  // Values that are equal after cleaning are one series, so that no scrape has the same line twice.
  const std::optional<SeriesId> id = adopt(metric, label_text(metric, values), source);
  if (id) ids_.emplace(std::move(key), *id);
  return id;
}

std::optional<SeriesId> SeriesTable::adopt(const Metric& metric, const std::string& labels, std::string_view source) {
  std::string key = std::string(metric.name) + '\0' + '\0' + labels;
  if (const auto found = ids_.find(key); found != ids_.end()) {
    series_.at(found->second).used_ns = now_ns_;
    return found->second;
  }
  if (series_.size() >= limits_.all || count(source) >= limits_.of_source) {
    ++refused_;
    ++refused_by_source_[std::string(source)];
    return std::nullopt;
  }
  const SeriesId id = next_;
  next_ = static_cast<SeriesId>(static_cast<std::uint64_t>(next_) + 1);
  ++of_source_[std::string(source)];
  const Series& made = series_.emplace(id, Series{&metric, labels, std::string(source), now_ns_}).first->second;
  ids_.emplace(std::move(key), id);
  if (on_new_) on_new_(id, made);
  return id;
}

std::size_t SeriesTable::count(std::string_view source) const {
  const auto found = of_source_.find(source);
  return found == of_source_.end() ? 0 : found->second;
}

bool SeriesTable::is_tight(std::string_view source) const {
  return series_.size() > limits_.all - limits_.all / 10 || count(source) > limits_.of_source - limits_.of_source / 10;
}

bool SeriesTable::has_room(std::string_view source) const {
  return series_.size() < limits_.all && count(source) < limits_.of_source;
}

void SeriesTable::drop(const std::unordered_set<SeriesId>& ids) {
  std::erase_if(ids_, [&](const auto& entry) { return ids.contains(entry.second); });
  for (const SeriesId id : ids) {
    const auto found = series_.find(id);
    if (found == series_.end()) continue;
    --of_source_[found->second.source];
    series_.erase(found);
  }
}

std::vector<SeriesId> SeriesTable::since(SeriesId first) const {
  std::vector<SeriesId> ids;
  const std::uint64_t given = static_cast<std::uint64_t>(next_) - static_cast<std::uint64_t>(first);
  if (given > series_.size()) {
    for (const auto& [id, series] : series_) {
      if (id >= first) ids.push_back(id);
    }
    std::sort(ids.begin(), ids.end());
    return ids;
  }
  for (SeriesId id = first; id < next_; id = static_cast<SeriesId>(static_cast<std::uint64_t>(id) + 1)) {
    if (series_.contains(id)) ids.push_back(id);
  }
  return ids;
}

const SeriesTable::Series* SeriesTable::find(SeriesId id) const {
  const auto found = series_.find(id);
  return found == series_.end() ? nullptr : &found->second;
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
