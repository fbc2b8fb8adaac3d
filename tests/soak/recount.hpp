// Computes the roll-ups of a history again from its samples, independently of storage/codec/rollup.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace perjoule {

// Compares the minutes and hours of every series, as far back as all their samples are stored. "" if each has the
// count, minimum, maximum, last value and increase of its samples, and there are no others. Adds the number compared
// to `buckets`.
[[nodiscard]] std::string recount(const std::filesystem::path& history, std::int64_t& buckets);

}  // namespace perjoule
