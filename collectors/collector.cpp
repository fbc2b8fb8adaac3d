#include "collectors/collector.hpp"

#include <utility>

namespace perjoule {

void DiscoveryCall::begin(State state) {
  const std::lock_guard lock(mutex_);
  state_ = std::move(state);
}

DiscoveryCall::State DiscoveryCall::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

}  // namespace perjoule
