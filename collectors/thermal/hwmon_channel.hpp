// The channels of one sensor chip: what can be read of it, under which labels.
//
// find_channels lists the directory and reads label files (regular files only): lanes only. The rest is pure.
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
  std::optional<double> value;  // in base units; none while not set or not plausible
};

struct Channel {
  ChannelKind kind{};
  std::string sensor;     // unique among the chip's channels of one family
  std::string_view role;  // static text
  std::string device;     // "<chip>/<sensor>"
  sysfs::File input;
  std::optional<sysfs::File> fault;   // tempN_fault, fanN_fault: 1 where the input means nothing
  std::optional<sysfs::File> enable;  // tempN_enable: 0 where the input means nothing
  std::vector<ChannelLimit> limits;
  bool paired = false;  // power and energy of the same sensor are both there: energy comes from the counter
};

// "temp12_input" -> temperature, 12, "input".
struct Attribute {
  ChannelKind kind{};
  unsigned number = 0;
  std::string_view what;
};
[[nodiscard]] std::optional<Attribute> parse_attribute(std::string_view file);

// At most 1024, by kind and number.
[[nodiscard]] std::vector<Channel> find_channels(const Chip& chip);

}  // namespace perjoule
