#include "collectors/thermal/hwmon_address.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <string_view>
#include <vector>

#include "collectors/sysfs.hpp"

namespace perjoule {

namespace {

constexpr std::string_view digits = "0123456789";

bool is_hex(std::string_view text, std::size_t size) {
  return text.size() == size && text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

// Whether `text` has the form of `pattern`, in which 'h' is a hexadecimal digit, and 'n' one or more decimal digits.
bool has_form(std::string_view text, std::string_view pattern) {
  for (const char c : pattern) {
    const std::size_t number = c == 'n' ? std::min(text.find_first_not_of(digits), text.size()) : 1;
    if (number == 0 || text.empty()) return false;
    const bool fits = c == 'n' || (c == 'h' ? is_hex(text.substr(0, 1), 1) : text.front() == c);
    if (!fits) return false;
    text.remove_prefix(number);
  }
  return text.empty();
}

bool is_pci(std::string_view name) {
  return has_form(name, "hhhh:hh:hh.h");
}

// "1-5:1.0", "2-1.4:1.0": bus, path of ports, configuration and interface.
bool is_usb_interface(std::string_view name) {
  const std::size_t dash = name.find('-');
  const std::size_t colon = name.find(':');
  return dash != std::string_view::npos && colon != std::string_view::npos && dash < colon &&
         has_form(name.substr(0, dash), "n") && has_form(name.substr(colon), ":n.n") &&
         name.substr(dash + 1, colon - dash - 1).find_first_not_of("0123456789.") == std::string_view::npos;
}

// The devices that a path goes through; "" where there is no such device.
struct Way {
  std::string bus;                  // the last device before a USB bus, an ATA port or a SCSI host
  std::string usb;                  // "5:1.0"
  std::string scsi;                 // "0:0:0": channel, target, unit
  std::filesystem::path scsi_path;  // below the root of sysfs
  std::filesystem::path ata_path;
  std::string hid;  // "0003:1B1C:1C0B"
};

Way way_of(const std::filesystem::path& relative) {
  Way way;
  std::filesystem::path path;
  for (const std::filesystem::path& component : relative) {
    const std::string& name = component.native();
    path /= component;
    if (is_usb_interface(name)) {
      way.usb = name.substr(name.find('-') + 1);
    } else if (has_form(name, "n:n:n:n")) {
      way.scsi = name.substr(name.find(':') + 1);
      way.scsi_path = path;
    } else if (has_form(name, "atan")) {
      way.ata_path = path;
    } else if (has_form(name, "hhhh:hhhh:hhhh.hhhh")) {
      way.hid = name.substr(0, name.find('.'));
    } else if (is_pci(name) || (way.bus.empty() && !bus_address(component).empty() && !name.starts_with("target"))) {
      way.bus = name;
    }
  }
  return way;
}

// White space, which T10 names are filled with, becomes one underscore.
std::string read_wwid(const std::filesystem::path& device) {
  std::string wwid;
  const auto text = sysfs::read_text(device / "wwid");
  for (const char c : text ? *text : std::string()) {
    const bool is_space = std::isspace(static_cast<unsigned char>(c)) != 0;
    if (!is_space) wwid += c;
    if (is_space && !wwid.empty() && wwid.back() != '_') wwid += '_';
  }
  return wwid;
}

// The number of a port at its controller: as the driver says, else its place among the controller's ports.
std::string ata_port(const std::filesystem::path& sysfs, const std::filesystem::path& ata) {
  const std::filesystem::path port = sysfs / ata;
  if (const auto number = sysfs::read_integer(port / "ata_port" / port.filename() / "port_no"))
    return fmt::format("port{}", *number);
  auto listed = sysfs::list(port.parent_path());
  std::vector<std::string> ports = listed ? std::move(*listed) : std::vector<std::string>{};
  std::erase_if(ports, [](const std::string& name) { return !has_form(name, "atan"); });
  return fmt::format("port{}", std::ranges::find(ports, port.filename().native()) - ports.begin());
}

}  // namespace

std::string device_address(const std::filesystem::path& sysfs, const std::filesystem::path& relative) {
  const Way way = way_of(relative);
  if (!way.scsi.empty()) {
    if (std::string wwid = read_wwid(sysfs / way.scsi_path); !wwid.empty()) return wwid;
    if (!way.ata_path.empty()) {
      const std::string port = fmt::format("{}-{}", way.bus, ata_port(sysfs, way.ata_path));
      return way.scsi == "0:0:0" ? port : fmt::format("{}-{}", port, way.scsi);
    }
    return fmt::format("{}-{}", way.usb.empty() ? way.bus : fmt::format("usb-{}-{}", way.bus, way.usb), way.scsi);
  }
  if (!way.usb.empty()) return fmt::format("usb-{}-{}", way.bus, way.usb);
  if (!way.hid.empty()) return way.hid;
  return bus_address(relative);
}

std::string bus_address(const std::filesystem::path& relative) {
  std::string address;
  for (const std::filesystem::path& component : relative) {
    const std::string& name = component.native();
    const bool digit = name.find_first_of(digits) != std::string::npos;
    if (digit && name.find_first_of(":.-") != std::string::npos) address = name;
  }
  return address;
}

}  // namespace perjoule
