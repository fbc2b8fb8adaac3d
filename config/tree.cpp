#include "config/tree.hpp"

namespace perjoule::config {

std::vector<Branch> split(std::span<const Key> keys, std::size_t depth) {
  std::vector<Branch> branches;
  for (const Key& key : keys) {
    std::string_view rest = key.path;
    for (std::size_t step = 0; step < depth; ++step)
      rest.remove_prefix(rest.find('.') + 1);
    const std::string_view name = rest.substr(0, rest.find('.'));
    if (branches.empty() || branches.back().name != name) {
      branches.push_back({name, std::span<const Key>(&key, 1), name == rest});
    } else {
      Branch& branch = branches.back();
      branch.keys = std::span<const Key>(branch.keys.data(), branch.keys.size() + 1);
    }
  }
  return branches;
}

}  // namespace perjoule::config
