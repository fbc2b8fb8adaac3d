#include "daemon/alerts/alert.hpp"

namespace perjoule::alerts {

bool same(const Alert& left, const Alert& right) {
  return left.name == right.name && left.severity == right.severity && left.labels == right.labels;
}

}  // namespace perjoule::alerts
