// The names of receivers in metrics and logs. Pure; any thread.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "config/receiver.hpp"

namespace perjoule::alerts {

// One for each receiver, all different: the configured name, else host and port. Further ones of the same host and port
// get a number in the order of the configuration ("#2"), because a path may be a secret.
[[nodiscard]] std::vector<std::string> receiver_names(std::span<const config::Receiver> receivers);

}  // namespace perjoule::alerts
