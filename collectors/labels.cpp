#include "collectors/labels.hpp"

#include <algorithm>

#include "config/json_writer.hpp"

namespace perjoule {

namespace {

// The label with this name, or the position at which it would be inserted.
template <class L>
auto find_label(L& labels, std::string_view name) {
  return std::lower_bound(labels.begin(), labels.end(), name,
                          [](const auto& label, std::string_view other) { return label.first < other; });
}

// Removes a value and its closing quote from the front of `text`, and returns the value without escapes. Nothing if the
// quote is missing.
std::optional<std::string> parse_value(std::string_view& text) {
  std::string value;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '"') {
      text.remove_prefix(at + 1);
      return value;
    }
    const bool escaped = text[at] == '\\';
    if (escaped && ++at == text.size()) break;
    value += escaped && text[at] == 'n' ? '\n' : text[at];
  }
  return std::nullopt;
}

}  // namespace

void append_label(std::string& out, std::string_view name, std::string_view value) {
  if (!out.empty() && out.back() == '"') out += ',';
  out.append(name).append("=\"");
  for (const char c : value) {
    if (c == '\\' || c == '"' || c == '\n') out += '\\';
    out += c == '\n' ? 'n' : c;
  }
  out += '"';
}

std::string label_text(const Labels& labels) {
  std::string text;
  for (const auto& [name, value] : labels)
    append_label(text, name, value);
  return text;
}

std::optional<Labels> parse_in_order(std::string_view text) {
  Labels labels;
  while (!text.empty()) {
    const std::size_t quote = text.find("=\"");
    if (quote == 0 || quote == std::string_view::npos) return std::nullopt;
    const std::string_view name = text.substr(0, quote);
    text.remove_prefix(quote + 2);
    std::optional<std::string> value = parse_value(text);
    if (!value) return std::nullopt;
    labels.emplace_back(name, std::move(*value));
    if (text.empty()) break;
    if (text.front() != ',' || text.size() == 1) return std::nullopt;
    text.remove_prefix(1);
  }
  return labels;
}

std::optional<Labels> parse_labels(std::string_view text) {
  std::optional<Labels> labels = parse_in_order(text);
  if (!labels) return std::nullopt;
  std::sort(labels->begin(), labels->end());
  const auto twice = std::adjacent_find(labels->begin(), labels->end(),
                                        [](const auto& left, const auto& right) { return left.first == right.first; });
  return twice == labels->end() ? std::move(labels) : std::nullopt;
}

std::string select_labels(std::string_view text, const std::function<bool(std::string_view)>& keep) {
  std::string kept;
  const std::optional<Labels> labels = parse_in_order(text);
  for (const auto& [name, value] : labels.value_or(Labels{})) {
    if (keep(name)) append_label(kept, name, value);
  }
  return kept;
}

std::string_view label_value(const Labels& labels, std::string_view name) {
  const auto found = find_label(labels, name);
  return found != labels.end() && found->first == name ? std::string_view(found->second) : std::string_view();
}

void append_json(std::string& out, const Labels& labels) {
  JsonWriter json(out);
  json.begin_object();
  for (const auto& [name, value] : labels)
    json.member(name, value);
  json.end_object();
}

}  // namespace perjoule
