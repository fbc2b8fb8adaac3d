// Questions about a label text of exposition format: `a="b",c="d\"e"`. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace perjoule::storage {

// All of `wanted` (name, plain value) are equal in `labels`; an absent label equals "".
[[nodiscard]] bool labels_match(std::string_view labels,
                                const std::vector<std::pair<std::string, std::string>>& wanted);

}  // namespace perjoule::storage
