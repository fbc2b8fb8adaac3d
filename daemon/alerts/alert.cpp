#include "daemon/alerts/alert.hpp"

namespace perjoule::alerts {

bool same(const Alert& left, const Alert& right) {
  return left.name == right.name && left.severity == right.severity && left.labels == right.labels;
}

int severity_rank(std::string_view severity) {
  if (severity == "info") return 0;
  return severity == "warning" ? 1 : 2;
}

}  // namespace perjoule::alerts
