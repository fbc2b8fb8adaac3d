#include "daemon/record/series.hpp"

#include <algorithm>
#include <utility>

#include "collectors/labels.hpp"
#include "config/utf8.hpp"

namespace perjoule {

namespace {

std::string_view take_value(std::string_view& values) {
  const std::size_t end = values.find('\0');
  const std::string_view value = values.substr(0, end);
  values.remove_prefix(end == std::string_view::npos ? values.size() : end + 1);
  return value;
}

}  // namespace

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
  for (std::size_t i = 0; i < metric.label_count; ++i)
    append_label(text, metric.labels[i], clean_label(take_value(values)));
  return text;
}

std::string ledger_key(const Metric& metric, std::string_view values) {
  std::string labels;
  for (std::size_t i = 0; i < metric.label_count; ++i) {
    const std::string_view value = take_value(values);
    if (is_identity(metric, metric.labels[i])) append_label(labels, metric.labels[i], clean_label(value));
  }
  return std::string(metric.name) + '{' + labels + '}';
}

std::optional<SeriesId> SeriesTable::identify(const Metric& metric, std::string_view values, std::string_view source) {
  std::string key(metric.name);
  key += '\0';
  key += values;
  if (const auto found = ids_.find(key); found != ids_.end()) {
    (*this)[found->second].used_ns = now_ns_;
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
    (*this)[found->second].used_ns = now_ns_;
    return found->second;
  }
  if (room(source) == 0) {
    ++refused_;
    ++refused_by_source_[std::string(source)];
    return std::nullopt;
  }
  if (free_.empty()) {
    free_.push_back(places_.size());
    places_.emplace_back();
  }
  const std::size_t place = free_.back();
  free_.pop_back();
  const auto id = static_cast<SeriesId>(given_++ << place_bits | place);
  const auto budget = of_source_.try_emplace(std::string(source)).first;
  ++budget->second;
  Series& made = places_[place] = Series{id, &metric, labels, budget->first, now_ns_};
  ids_.emplace(std::move(key), id);
  if (on_new_) on_new_(id, made);
  return id;
}

std::size_t SeriesTable::count(std::string_view source) const {
  const auto found = of_source_.find(source);
  return found == of_source_.end() ? 0 : found->second;
}

bool SeriesTable::is_tight(std::string_view source) const {
  return size() > limits_.all - limits_.all / 10 || count(source) > limits_.of_source - limits_.of_source / 10;
}

std::size_t SeriesTable::room(std::string_view source) const {
  return std::min(limits_.all - size(), limits_.of_source - count(source));
}

void SeriesTable::drop(const std::unordered_set<SeriesId>& ids) {
  std::erase_if(ids_, [&](const auto& entry) { return ids.contains(entry.second); });
  for (const SeriesId id : ids) {
    if (!contains(id)) continue;
    Series& dropped = (*this)[id];
    --of_source_.find(dropped.source)->second;
    dropped = Series{};
    free_.push_back(place_of(id));
  }
}

std::vector<SeriesId> SeriesTable::since(SeriesId first) const {
  std::vector<SeriesId> ids;
  if (first >= next()) return ids;
  for (const Series& series : places_) {
    if (series.metric != nullptr && series.id >= first) ids.push_back(series.id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

bool SeriesTable::contains(SeriesId id) const {
  const std::size_t place = place_of(id);
  return place < places_.size() && places_[place].metric != nullptr && places_[place].id == id;
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
