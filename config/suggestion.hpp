// "did you mean": the nearest of the valid words. Pure; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace perjoule::config {

// Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment).
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

// The known word nearest to `word`, at an edit distance of at most a third of its length (at least 1); "" if none is.
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

// "did you mean \"period\"?", or "" if no known word is near.
[[nodiscard]] std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);

}  // namespace perjoule::config
