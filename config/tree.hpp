// The key table as a tree of sections, for writing it as nested JSON. Views into the table; any thread.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "config/keys.hpp"

namespace perjoule::config {

struct Branch {
  std::string_view name;      // one step of the path
  std::span<const Key> keys;  // all below it; the one key itself where it is a leaf
  bool leaf = false;
};

// The branches at `depth` of keys that share the steps before it.
[[nodiscard]] std::vector<Branch> split(std::span<const Key> keys, std::size_t depth);

}  // namespace perjoule::config
