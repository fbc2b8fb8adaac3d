// The idle power of a GPU model, from the table idle_watts.def: what a floor is assumed to be before it is learned.
// Pure; any thread.
#pragma once

#include <optional>
#include <string_view>

namespace perjoule {

// `model` as perjoule_gpu_info has it. Watts; nothing for a model that the table does not have.
[[nodiscard]] std::optional<double> assumed_idle_watts(std::string_view model);

}  // namespace perjoule
