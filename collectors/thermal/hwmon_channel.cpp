#include "collectors/thermal/hwmon_channel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

namespace perjoule {

namespace {

constexpr std::size_t channels_max = 1024;
constexpr std::uint64_t number_max = 9999;

struct KindName {
  ChannelKind kind;
  std::string_view name;
};
constexpr std::array<KindName, 4> kind_names = {{{ChannelKind::temperature, "temp"},
                                                 {ChannelKind::fan, "fan"},
                                                 {ChannelKind::power, "power"},
                                                 {ChannelKind::energy, "energy"}}};

std::string_view name_of(ChannelKind kind) {
  return kind_names[static_cast<std::size_t>(kind)].name;
}

std::vector<std::string_view> limits_of(ChannelKind kind) {
  if (kind == ChannelKind::temperature) return {"max", "crit", "emergency"};
  if (kind == ChannelKind::power) return {"max", "cap"};
  return {};
}

// The files of one channel.
struct Found {
  std::set<std::string, std::less<>> attributes;
  std::string label;
};
using Numbers = std::map<unsigned, Found>;
using Kinds = std::map<ChannelKind, Numbers>;

Kinds list_channels(const Chip& chip) {
  Kinds kinds;
  const auto names = sysfs::list(chip.directory);
  if (!names) return kinds;
  std::size_t count = 0;
  for (const std::string& name : *names) {
    const std::optional<Attribute> attribute = parse_attribute(name);
    if (!attribute) continue;
    Numbers& numbers = kinds[attribute->kind];
    if (!numbers.contains(attribute->number) && ++count > channels_max) continue;
    Found& found = numbers[attribute->number];
    found.attributes.emplace(attribute->what);
    // ACPI meters have their label in oem_info.
    if (attribute->what != "label" && attribute->what != "oem_info") continue;
    if (auto text = sysfs::read_text(chip.directory / name); text && found.label.empty())
      found.label = std::move(*text);
  }
  return kinds;
}

std::string unique_sensor(std::set<std::string>& used, const std::string& label, ChannelKind kind, unsigned number) {
  const std::string plain = fmt::format("{}{}", name_of(kind), number);
  std::string sensor = label.empty() ? plain : label;
  if (used.contains(sensor)) sensor = fmt::format("{} {}", label, plain);
  while (!used.insert(sensor).second)
    sensor += '_';
  return sensor;
}

struct Builder {
  const Chip& chip;
  std::vector<Channel> channels;

  sysfs::File file(ChannelKind kind, unsigned number, std::string_view what) const {
    return sysfs::File(chip.directory / fmt::format("{}{}_{}", name_of(kind), number, what));
  }

  void add_limits(Channel& channel, ChannelKind kind, unsigned number, const Found& found) const {
    for (std::string_view limit : limits_of(kind)) {
      if (found.attributes.contains(limit)) channel.limits.push_back({limit, file(kind, number, limit), std::nullopt});
    }
  }

  Channel& add(ChannelKind kind, unsigned number, const Found& found, std::string sensor) {
    // Some chips give a mean (_average) instead of an instantaneous value, or both: it is better for an integral, which
    // would see only the peaks or the troughs of a load that changes in step with the reads.
    const bool has_mean = kind == ChannelKind::power && found.attributes.contains("average");
    const std::string_view value = has_mean ? "average" : "input";
    const bool thermal = kind == ChannelKind::temperature || kind == ChannelKind::fan;
    const std::string_view role =
        thermal ? temperature_role(chip.name, found.label) : power_role(chip.name, found.label);
    std::string device = fmt::format("{}/{}", chip.label, sensor);
    Channel channel{kind, std::move(sensor), role, std::move(device), file(kind, number, value), {}, {}, {}, {}, false};
    if (thermal && found.attributes.contains("fault")) channel.fault = file(kind, number, "fault");
    if (kind == ChannelKind::temperature && found.attributes.contains("enable")) {
      channel.enable = file(kind, number, "enable");
    }
    add_limits(channel, kind, number, found);
    channels.push_back(std::move(channel));
    return channels.back();
  }

  void add_plain(ChannelKind kind, const Numbers& numbers) {
    std::set<std::string> used;
    for (const auto& [number, found] : numbers) {
      if (!found.attributes.contains("input")) continue;
      add(kind, number, found, unique_sensor(used, found.label, kind, number));
    }
  }

  // A power and an energy channel are one sensor if their labels are equal, or, where one has no label, their numbers.
  void add_power_and_energy(const Numbers& powers, Numbers energies) {
    std::set<std::string> used;
    std::erase_if(energies, [](const auto& entry) { return !entry.second.attributes.contains("input"); });
    for (const auto& power : powers) {
      const unsigned number = power.first;
      const Found& found = power.second;
      const bool value = found.attributes.contains("input") || found.attributes.contains("average");
      const auto partner = std::ranges::find_if(energies, [&found, number](const auto& entry) {
        if (!found.label.empty() && !entry.second.label.empty()) return entry.second.label == found.label;
        return entry.first == number;
      });
      if (!value && partner == energies.end()) continue;
      const std::string sensor = unique_sensor(used, found.label, ChannelKind::power, number);
      if (value) add(ChannelKind::power, number, found, sensor).paired = partner != energies.end();
      if (partner == energies.end()) continue;
      Found both = partner->second;
      if (both.label.empty()) both.label = found.label;
      Channel& energy = add(ChannelKind::energy, partner->first, both, sensor);
      energy.paired = value;
      if (!value) add_limits(energy, ChannelKind::power, number, found);
      energies.erase(partner);
    }
    for (const auto& [number, found] : energies) {
      add(ChannelKind::energy, number, found, unique_sensor(used, found.label, ChannelKind::energy, number));
    }
  }
};

// Intel's xe shows the package (GPU and its memory) and the card that includes it. The package's power and energy get
// the role "other", because a sum over the role "gpu" would count the package twice. Temperatures keep their role.
// Where the card's counter has never counted (Arc B580 with Linux 6.16) it is the card's that is "other".
void demote_inner(std::vector<Channel>& channels) {
  const auto is_of = [](const Channel& channel, std::string_view sensor) { return channel.sensor == sensor; };
  const bool card = std::ranges::any_of(channels, [&](const Channel& channel) { return is_of(channel, "card"); });
  if (!card) return;
  const auto counted = [&](std::string_view sensor) {
    return std::ranges::any_of(channels, [&](Channel& channel) {
      if (!is_of(channel, sensor) || channel.kind != ChannelKind::energy) return false;
      const auto microjoules = channel.input.unsigned_integer();
      return microjoules && *microjoules > 0;
    });
  };
  const std::string_view inner = counted("pkg") && !counted("card") ? "card" : "pkg";
  for (Channel& channel : channels) {
    if (is_of(channel, inner) && channel.role == "gpu" && channel.kind != ChannelKind::temperature) {
      channel.role = "other";
    }
  }
}

}  // namespace

std::optional<Attribute> parse_attribute(std::string_view file) {
  for (const auto& [kind, name] : kind_names) {
    if (!file.starts_with(name)) continue;
    const std::size_t underscore = file.find('_');
    if (underscore == std::string_view::npos || underscore <= name.size()) return std::nullopt;
    const std::string_view digits = file.substr(name.size(), underscore - name.size());
    if (digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
    const auto number = sysfs::parse_unsigned(digits);
    if (!number || *number > number_max) return std::nullopt;
    return Attribute{kind, static_cast<unsigned>(*number), file.substr(underscore + 1)};
  }
  return std::nullopt;
}

std::vector<Channel> find_channels(const Chip& chip) {
  Kinds kinds = list_channels(chip);
  Builder builder{chip, {}};
  builder.add_plain(ChannelKind::temperature, kinds[ChannelKind::temperature]);
  builder.add_plain(ChannelKind::fan, kinds[ChannelKind::fan]);
  builder.add_power_and_energy(kinds[ChannelKind::power], kinds[ChannelKind::energy]);
  demote_inner(builder.channels);
  return std::move(builder.channels);
}

}  // namespace perjoule
