// Every collector that this build knows, in the order of registry.def.
#pragma once

#include <span>

#include "collectors/collector.hpp"

namespace perjoule {

[[nodiscard]] std::span<const Entry* const> registry();

}  // namespace perjoule
