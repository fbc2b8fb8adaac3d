// The channels of one sensor chip: the files to read, and the labels of their series.
//
// find_channels lists the directory and reads label files (regular files only): lanes only. The rest is pure. Missing
// or unreadable files leave a channel out; they are not an error.
// Source: Documentation/hwmon/sysfs-interface.rst.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/sysfs.hpp"
#include "collectors/thermal/hwmon_chip.hpp"

namespace perjoule {

enum class ChannelKind : std::uint8_t { temperature, fan, power, energy };

struct ChannelLimit {
  std::string_view name;  // label `limit`: max, crit, emergency, cap
  sysfs::File file;
  std::optional<double> value;  // in base units; none while it is not set or implausible
};

struct Channel {
  ChannelKind kind{};
  std::string sensor;     // unique among the chip's channels of one family
  std::string_view role;  // a string literal
  std::string device;     // "<chip>/<sensor>"
  sysfs::File input;
  std::optional<sysfs::File> fault;   // tempN_fault, fanN_fault: not 0 while the input is invalid
  std::optional<sysfs::File> enable;  // tempN_enable: 0 while the input is invalid
  std::vector<ChannelLimit> limits;
  std::optional<double> watts;  // of a power channel: as read last
  // The sensor has both power and energy: energy comes from the counter, not from integration.
  bool paired = false;
};

// "temp12_input" -> temperature, 12, "input".
struct Attribute {
  ChannelKind kind{};
  unsigned number = 0;
  std::string_view what;
};
[[nodiscard]] std::optional<Attribute> parse_attribute(std::string_view file);

// At most 1024 channels, ordered by kind and number.
[[nodiscard]] std::vector<Channel> find_channels(const Chip& chip);

}  // namespace perjoule
