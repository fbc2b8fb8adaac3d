#include "daemon/alerts/notify/receiver_names.hpp"

#include <fmt/format.h>

#include <set>

#include "config/url.hpp"

namespace perjoule::alerts {

namespace {

std::string authority(const config::Receiver& receiver) {
  const auto url = config::parse_url(receiver.url);
  return url ? url->authority() : "unknown";
}

}  // namespace

std::vector<std::string> receiver_names(std::span<const config::Receiver> receivers) {
  std::vector<std::string> names;
  std::set<std::string> taken;
  for (const config::Receiver& receiver : receivers) {
    const std::string name = receiver.name.empty() ? authority(receiver) : receiver.name;
    std::string free = name;
    for (int number = 2; !taken.insert(free).second; ++number)
      free = fmt::format("{}#{}", name, number);
    names.push_back(std::move(free));
  }
  return names;
}

}  // namespace perjoule::alerts
