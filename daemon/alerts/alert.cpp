#include "daemon/alerts/alert.hpp"

#include <algorithm>

namespace perjoule::alerts {

bool same(const Alert& left, const Alert& right) {
  return left.name == right.name && left.severity == right.severity && left.labels == right.labels;
}

std::string label_text(const Labels& labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    text.append(text.empty() ? "" : ",").append(name).append("=\"");
    for (const char c : value) {
      if (c == '\\' || c == '"') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text;
}

std::optional<Labels> parse_labels(std::string_view text) {
  Labels labels;
  while (!text.empty()) {
    const std::size_t quote = text.find("=\"");
    if (quote == 0 || quote == std::string_view::npos) return std::nullopt;
    std::string name(text.substr(0, quote));
    text.remove_prefix(quote + 2);
    std::string value;
    std::size_t at = 0;
    for (; at < text.size() && text[at] != '"'; ++at) {
      if (text[at] == '\\' && ++at == text.size()) return std::nullopt;
      value += text[at];
    }
    if (at == text.size()) return std::nullopt;
    labels.emplace_back(std::move(name), std::move(value));
    text.remove_prefix(at + 1);
    if (text.empty()) break;
    if (text.front() != ',' || text.size() == 1) return std::nullopt;
    text.remove_prefix(1);
  }
  std::sort(labels.begin(), labels.end());
  const auto twice = std::adjacent_find(labels.begin(), labels.end(),
                                        [](const auto& left, const auto& right) { return left.first == right.first; });
  return twice == labels.end() ? std::optional(std::move(labels)) : std::nullopt;
}

}  // namespace perjoule::alerts
