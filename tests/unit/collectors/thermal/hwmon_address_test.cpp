#include "collectors/thermal/hwmon_address.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "collectors/thermal/hwmon_chip.hpp"
#include "tests/fakes/readings.hpp"
#include "tests/fakes/tree.hpp"

using namespace perjoule;

namespace {

std::string address(const std::filesystem::path& relative) {
  return device_address("/nonexistent", relative);
}

std::vector<std::string> labels(const Tree& tree) {
  std::vector<std::string> labels;
  for (const Chip& chip : find_chips(tree.at("sys")))
    labels.push_back(chip.label);
  std::ranges::sort(labels);
  return labels;
}

// A chip at a path below devices/, with one temperature.
void add(const Tree& tree, const std::string& device, int number, const std::string& name) {
  const std::string chip = fmt::format("sys/devices/{}/hwmon/hwmon{}", device, number);
  tree.write(chip + "/name", name);
  tree.write(chip + "/temp1_input", "30000");
  tree.link(fmt::format("sys/class/hwmon/hwmon{}", number), tree.at(chip).native());
}

}  // namespace

TEST_CASE("a SATA disk is its port at the controller, whatever the numbers of the SCSI host and of the ATA port") {
  const Tree tree;
  add(tree, "pci0000:00/0000:00:17.0/ata5/host4/target4:0:0/4:0:0:0", 1, "drivetemp");
  add(tree, "pci0000:00/0000:00:17.0/ata6/host5/target5:0:0/5:0:0:0", 2, "drivetemp");
  CHECK(labels(tree) == std::vector<std::string>{"drivetemp-0000:00:17.0-port0", "drivetemp-0000:00:17.0-port1"});
  tree.write("sys/devices/pci0000:00/0000:00:17.0/ata5/ata_port/ata5/port_no", "4\n");
  tree.write("sys/devices/pci0000:00/0000:00:17.0/ata6/ata_port/ata6/port_no", "5\n");
  CHECK(labels(tree) == std::vector<std::string>{"drivetemp-0000:00:17.0-port4", "drivetemp-0000:00:17.0-port5"});
  // Behind a port multiplier.
  CHECK(address("devices/pci0000:00/0000:00:17.0/ata1/host0/target0:2:0/0:2:0:0/hwmon/hwmon3") ==
        "0000:00:17.0-port0-2:0:0");
}

TEST_CASE("a disk with a WWID is that, at any port") {
  const Tree tree;
  add(tree, "pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0", 1, "drivetemp");
  add(tree, "pci0000:00/0000:00:1b.0/host13/target13:0:7/13:0:7:0", 2, "drivetemp");
  tree.write("sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/wwid", "naa.5000c500a1b2c3d4\n");
  tree.write("sys/devices/pci0000:00/0000:00:1b.0/host13/target13:0:7/13:0:7:0/wwid", "t10.ATA     ST4000    W1\n");
  CHECK(labels(tree) == std::vector<std::string>{"drivetemp-naa.5000c500a1b2c3d4", "drivetemp-t10.ATA_ST4000_W1"});
}

TEST_CASE("SCSI hosts that change their numbers at a reboot") {
  CHECK(address("devices/pci0000:00/0000:02:00.0/host13/target13:0:0/13:0:0:0/hwmon/hwmon2") == "0000:02:00.0-0:0:0");
  CHECK(address("devices/pci0000:00/0000:02:00.0/host0/target0:0:0/0:0:0:0/hwmon/hwmon1") == "0000:02:00.0-0:0:0");
}

TEST_CASE("a USB device is its controller and the path of ports, whatever the numbers of the bus and of HID") {
  const std::string expected = "usb-0000:00:14.0-5:1.0";
  CHECK(address("devices/pci0000:00/0000:00:14.0/usb1/1-5/1-5:1.0/0003:1B1C:1C0B.0008/hwmon/hwmon8") == expected);
  CHECK(address("devices/pci0000:00/0000:00:14.0/usb3/3-5/3-5:1.0/0003:1B1C:1C0B.0011/hwmon/hwmon2") == expected);
  CHECK(address("devices/pci0000:00/0000:00:14.0/usb1/1-5/1-5.2/1-5.2:1.1/0003:1B1C:1C0B.0008/hwmon/hwmon8") ==
        "usb-0000:00:14.0-5.2:1.1");
  CHECK(address("devices/platform/soc/xhci-hcd.0.auto/usb1/1-5/1-5:1.0/hwmon/hwmon8") == "usb-xhci-hcd.0.auto-5:1.0");
  CHECK(address("devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/hwmon/hwmon3") ==
        "usb-0000:00:14.0-1:1.0-0:0:0");
  CHECK(address("devices/virtual/misc/uhid/0005:1B1C:1C0B.0008/hwmon/hwmon8") == "0005:1B1C:1C0B");
}

TEST_CASE("all other devices are the last address of their path") {
  CHECK(address("devices/pci0000:00/0000:00:02.1/0000:01:00.0/nvme/nvme0/hwmon3") == "0000:01:00.0");
  CHECK(address("devices/pci0000:00/0000:00:1f.4/i2c-3/3-0058/hwmon/hwmon3") == "3-0058");
  CHECK(address("devices/platform/coretemp.0/hwmon/hwmon4") == "coretemp.0");
  CHECK(address("devices/virtual/thermal/thermal_zone0/hwmon1").empty());
  CHECK(address("").empty());
  CHECK(bus_address("devices/pci0000:00/ata1/host0/target0:0:0/0:0:0:0/hwmon/hwmon2") == "0:0:0:0");
}

TEST_CASE("any path gives an address without a slash") {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const std::string path = hostile(random, "0123456789abcdef:.-/usbatahost", 80);
    REQUIRE(address(path).find('/') == std::string::npos);
  }
}
