#include "collectors/gpu/idle_watts.hpp"

namespace perjoule {

namespace {

struct Model {
  std::string_view name;
  double watts;
};

// The source of each value is for the reader of the table.
constexpr Model models[] = {
#define IDLE_WATTS(name, watts, source) {name, watts},
#include "collectors/gpu/idle_watts.def"
#undef IDLE_WATTS
};

}  // namespace

std::optional<double> assumed_idle_watts(std::string_view model) {
  for (const Model& known : models) {
    if (known.name == model) return known.watts;
  }
  return std::nullopt;
}

}  // namespace perjoule
