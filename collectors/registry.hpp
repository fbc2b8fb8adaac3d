// Every collector of this build, in the order of registry.def. Constants; any thread.
#pragma once

#include <span>

#include "collectors/collector.hpp"

namespace perjoule {

[[nodiscard]] std::span<const Entry* const> registry();

}  // namespace perjoule
