// Reads --name=NUMBER from the command line of a soak.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace perjoule {

inline std::uint64_t argument(int argc, char** argv, std::string_view name, std::uint64_t fallback) {
  for (int i = 1; i < argc; ++i) {
    std::string_view text(argv[i]);
    if (text.starts_with(name)) return std::strtoull(text.substr(name.size()).data(), nullptr, 10);
  }
  return fallback;
}

}  // namespace perjoule
