#include "storage/history/labels.hpp"

#include <algorithm>

namespace perjoule::storage {

namespace {

// Takes one `name="value"` off the front; the value is unescaped. False at the end or at what is not a label.
bool take_label(std::string_view& rest, std::string_view& name, std::string& value) {
  const std::size_t equals = rest.find("=\"");
  if (equals == std::string_view::npos) return false;
  name = rest.substr(0, equals);
  value.clear();
  for (std::size_t at = equals + 2; at < rest.size(); ++at) {
    if (rest[at] == '"') {
      rest.remove_prefix(std::min(rest.size(), at + 2));  // with the comma
      return true;
    }
    if (rest[at] == '\\' && at + 1 < rest.size()) {
      ++at;
      value.push_back(rest[at] == 'n' ? '\n' : rest[at]);
    } else {
      value.push_back(rest[at]);
    }
  }
  return false;
}

}  // namespace

bool labels_match(std::string_view labels, const std::vector<std::pair<std::string, std::string>>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& pair) {
    std::string_view rest = labels;
    std::string_view name;
    std::string value;
    while (take_label(rest, name, value)) {
      if (name == pair.first) return value == pair.second;
    }
    return pair.second.empty();
  });
}

}  // namespace perjoule::storage
