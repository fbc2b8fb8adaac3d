// The key table as a tree of sections, for writing it as nested JSON. Views into the table, which must outlive them;
// any thread.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "config/keys.hpp"

namespace perjoule::config {

struct Branch {
  std::string_view name;      // one component of the path
  std::span<const Key> keys;  // all keys below it; the key itself if it is a leaf
  bool leaf = false;
};

// The branches at `depth` of keys whose first `depth` components are equal.
[[nodiscard]] std::vector<Branch> split(std::span<const Key> keys, std::size_t depth);

}  // namespace perjoule::config
