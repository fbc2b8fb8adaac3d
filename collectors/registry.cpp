#include "collectors/registry.hpp"

#include <array>

namespace perjoule {

#define PERJOULE_COLLECTOR(name) extern const Entry name##_entry;
#include "collectors/registry.def"
#undef PERJOULE_COLLECTOR

std::span<const Entry* const> registry() {
  static constexpr std::array entries = {
#define PERJOULE_COLLECTOR(name) &name##_entry,
#include "collectors/registry.def"
#undef PERJOULE_COLLECTOR
  };
  return entries;
}

}  // namespace perjoule
