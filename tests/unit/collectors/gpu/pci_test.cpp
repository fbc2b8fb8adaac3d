#include "collectors/gpu/pci.hpp"

#include <doctest/doctest.h>

#include "tests/fakes/tree.hpp"

using namespace perjoule;

namespace {

void function(const Tree& tree, const std::string& address, const char* vendor, const char* kind) {
  tree.write("sys/bus/pci/devices/" + address + "/vendor", vendor);
  tree.write("sys/bus/pci/devices/" + address + "/class", kind);
}

}  // namespace

TEST_CASE("GPUs of a vendor in bus order; those of another driver or a virtual machine are left out") {
  const Tree tree;
  const std::string devices = "sys/bus/pci/devices/";
  function(tree, "0000:db:00.0", "0x10de\n", "0x030200\n");
  function(tree, "0000:18:00.0", "0x10de\n", "0x030000\n");
  function(tree, "0000:18:00.1", "0x10de\n", "0x040300\n");  // its audio function
  function(tree, "0000:19:00.0", "0x10de\n", "0x068000\n");  // NVSwitch
  function(tree, "0000:20:00.0", "0x1002\n", "0x030200\n");
  function(tree, "0000:30:00.0", "0x10de\n", "0x030200\n");
  function(tree, "0000:30:00.4", "0x10de\n", "0x030200\n");
  function(tree, "0000:40:00.0", "0x10de\n", "0x030200\n");
  tree.link(devices + "0000:18:00.0/driver", "../../../../bus/pci/drivers/nvidia");
  tree.link(devices + "0000:40:00.0/driver", "../../../../bus/pci/drivers/vfio-pci");
  tree.link(devices + "0000:30:00.4/physfn", "../0000:30:00.0");
  tree.write(devices + "0000:30:00.0/power/runtime_status", "suspended\n");
  tree.write(devices + "0000:18:00.0/power/runtime_status", "active\n");
  const auto found = pci::gpus(tree.at("sys"), "0x10de", "nvidia");
  REQUIRE(found.size() == 3);
  CHECK(found[0].address == "0000:18:00.0");
  CHECK_FALSE(found[0].asleep);
  CHECK(found[0].runtime_status == tree.at(devices + "0000:18:00.0/power/runtime_status"));
  CHECK(found[1].address == "0000:30:00.0");
  CHECK(found[1].asleep);
  CHECK(found[2].address == "0000:db:00.0");
  CHECK(found[2].runtime_status.empty());
  CHECK(pci::gpus(tree.at("nothing"), "0x10de", "nvidia").empty());
}
