// Asks a daemon that runs on this host for the states of its sources. Blocks the caller's thread for up to two seconds;
// runs a loop of its own.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "config/settings.hpp"
#include "daemon/sampling/sources.hpp"

namespace perjoule {

struct RunningDaemon {
  std::string url;  // the one that was asked
  bool answers = false;
  std::string why;                                                    // why not
  std::map<std::pair<std::string, std::string>, SourceState> states;  // by source and device
  std::size_t gpus_answering = 0;
  std::size_t gpus_expected = 0;
};

// Asks the first listen address, for a wildcard the loopback address.
[[nodiscard]] RunningDaemon ask_daemon(const config::Settings& settings);

// Pure: the states in an exposition of /metrics.
[[nodiscard]] std::map<std::pair<std::string, std::string>, SourceState> states_in(std::string_view exposition);
// Pure: the value of a series without labels; 0 if it is not there.
[[nodiscard]] double value_in(std::string_view exposition, std::string_view name);
// Pure: where a client on this host reaches a listen address: ":10190" -> "127.0.0.1:10190".
[[nodiscard]] std::string reachable(std::string_view listen_address);

}  // namespace perjoule
