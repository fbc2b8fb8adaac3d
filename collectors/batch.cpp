#include "collectors/batch.hpp"

#include <utility>

namespace perjoule {

namespace {
constexpr std::size_t kept_faults = 64;
}

void Batch::append(Reading reading, std::string_view device, std::initializer_list<std::string_view> labels) {
  reading.labels_at = static_cast<std::uint32_t>(arena_.size());
  for (std::string_view value : labels) {
    arena_.append(value.substr(0, value.find('\0')));
    arena_.push_back('\0');
  }
  reading.labels_size = static_cast<std::uint32_t>(arena_.size()) - reading.labels_at;
  arena_.append(device);
  reading.device_size = static_cast<std::uint32_t>(device.size());
  readings_.push_back(reading);
}

void Batch::fault(std::string_view item, Error error) {
  const ItemState state = error.fault == Fault::absent   ? ItemState::absent
                          : error.fault == Fault::denied ? ItemState::denied
                                                         : ItemState::error;
  ++items_[static_cast<std::size_t>(state)];
  fault_count_ += state == ItemState::absent ? 0U : 1U;
  if (faults_.size() < kept_faults) faults_.push_back({std::string(item), std::move(error), state});
}

void Batch::refuse(std::string_view item, std::string_view why) {
  ++items_[static_cast<std::size_t>(ItemState::implausible)];
  ++refused_count_;
  if (faults_.size() < kept_faults)
    faults_.push_back({std::string(item), Error{Fault::transient, std::string(why)}, ItemState::implausible});
}

void Batch::clear() {
  readings_.clear();
  arena_.clear();
  faults_.clear();
  items_.fill(0);
  fault_count_ = 0;
  refused_count_ = 0;
}

std::string_view Batch::label(const Reading& reading, std::size_t index) const {
  return label_value(labels(reading), index);
}

std::string_view label_value(std::string_view values, std::size_t index) {
  for (;; --index) {
    const std::size_t end = values.find('\0');
    if (end == std::string_view::npos) return {};
    if (index == 0) return values.substr(0, end);
    values.remove_prefix(end + 1);
  }
}

}  // namespace perjoule
