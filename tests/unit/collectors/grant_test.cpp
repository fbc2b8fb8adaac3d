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

TEST_CASE("a session, a user's service and a container are no system service") {
  CHECK(parse_service_unit("") == "");
  CHECK(parse_service_unit("0::/\n") == "");
  CHECK(parse_service_unit("0::/user.slice/user-1000.slice/session-3.scope\n") == "");
  CHECK(parse_service_unit("0::/user.slice/user-1000.slice/user@1000.service/app.slice/power.service\n") == "");
  CHECK(parse_service_unit("0::/docker/0123abcd\n") == "");
  CHECK(parse_service_unit("0::/system.slice/$(reboot).service\n") == "");
}

TEST_CASE("whatever the file holds, a unit can stand in a command as it is") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 5000; ++round) {
    const std::string unit = parse_service_unit(hostile(random, "0:/ .\n'`$;servic\xFF", 40) + ".service");
    REQUIRE(unit.find_first_of(" /\n'`$;\xFF") == std::string::npos);
  }
}

TEST_CASE("the command is a drop-in for a service, and a file capability for anything else") {
  const Tree service({{"proc/self/cgroup", "0::/system.slice/perjouled.service\n"}});
  const std::string drop_in = grant_command(service.roots(), "CAP_PERFMON", "perf.conf");
  CHECK(drop_in.find("/etc/systemd/system/perjouled.service.d/perf.conf") != std::string::npos);
  CHECK(drop_in.find("AmbientCapabilities=CAP_PERFMON\\nCapabilityBoundingSet=CAP_PERFMON\\n") != std::string::npos);
  CHECK(drop_in.find("setcap") == std::string::npos);

  const Tree shell({{"proc/self/cgroup", "0::/user.slice/user-0.slice/session-1.scope\n"}});
  const Tree bare;
  for (const Roots& roots : {shell.roots(), bare.roots()}) {
    const std::string command = grant_command(roots, "CAP_PERFMON", "perf.conf");
    CHECK(command.starts_with("sudo setcap cap_perfmon+ep "));
    CHECK(command.find("perjouled.service") != std::string::npos);
    CHECK(command.find("perf.conf") != std::string::npos);
  }
}
