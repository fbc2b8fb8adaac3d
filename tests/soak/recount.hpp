// The roll-ups of a history counted again from its samples, without storage/rollup.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace perjoule {

// Minutes and hours of every series, as far back as all their samples are kept: "" when each has the count, minimum,
// maximum, last value and increase of its samples, and there is no other. Adds to `buckets` how many were compared.
[[nodiscard]] std::string recount(const std::filesystem::path& history, std::int64_t& buckets);

}  // namespace perjoule
