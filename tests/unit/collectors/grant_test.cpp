#include "collectors/grant.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "tests/fakes/readings.hpp"
#include "tests/fakes/tree.hpp"

using namespace perjoule;

TEST_CASE("the unit is found in either cgroup hierarchy") {
  CHECK(parse_service_unit("0::/system.slice/perjouled.service\n") == "perjouled.service");
  CHECK(parse_service_unit("0::/monitoring.slice/power@a:1.service\n") == "power@a:1.service");
  CHECK(parse_service_unit("12:cpuset:/\n3:memory:/system.slice\n1:name=systemd:/system.slice/perjouled.service\n") ==
        "perjouled.service");
  CHECK(parse_service_unit("0::/system.slice/perjouled.service") == "perjouled.service");
}

TEST_CASE("a session, a user's service and a container are not system services") {
  CHECK(parse_service_unit("") == "");
  CHECK(parse_service_unit("0::/\n") == "");
  CHECK(parse_service_unit("0::/user.slice/user-1000.slice/session-3.scope\n") == "");
  CHECK(parse_service_unit("0::/user.slice/user-1000.slice/user@1000.service/app.slice/power.service\n") == "");
  CHECK(parse_service_unit("0::/docker/0123abcd\n") == "");
  CHECK(parse_service_unit("0::/system.slice/$(reboot).service\n") == "");
}

TEST_CASE("whatever the file holds, a unit name is safe in a shell command") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 5000; ++round) {
    const std::string unit = parse_service_unit(hostile(random, "0:/ .\n'`$;servic\xFF", 40) + ".service");
    REQUIRE(unit.find_first_of(" /\n'`$;\xFF") == std::string::npos);
  }
}

TEST_CASE("the command removes the drop-in of a service, and sets a file capability for anything else") {
  const Tree service({{"proc/self/cgroup", "0::/system.slice/perjouled.service\n"}});
  const std::string removal = grant_command(service.roots(), "CAP_DAC_READ_SEARCH", "00-no-rapl.conf");
  CHECK(removal.find("sudo rm -f /etc/systemd/system/perjouled.service.d/00-no-rapl.conf && ") != std::string::npos);
  CHECK(removal.find("AmbientCapabilities=CAP_DAC_READ_SEARCH and CapabilityBoundingSet=CAP_DAC_READ_SEARCH") !=
        std::string::npos);
  CHECK(removal.find("setcap") == std::string::npos);

  const Tree shell({{"proc/self/cgroup", "0::/user.slice/user-0.slice/session-1.scope\n"}});
  const Tree bare;
  for (const Roots& roots : {shell.roots(), bare.roots()}) {
    const std::string command = grant_command(roots, "CAP_DAC_READ_SEARCH", "00-no-rapl.conf");
    CHECK(command.starts_with("sudo setcap cap_dac_read_search+ep "));
    CHECK(command.find("packaged perjouled.service") != std::string::npos);
    CHECK(command.find("00-no-rapl.conf") != std::string::npos);
  }
}
