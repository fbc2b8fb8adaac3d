// The parts of `doctor` that need no host: the unit's user, the running daemon's states.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "daemon/commands/running_daemon.hpp"
#include "daemon/commands/service_user.hpp"

using namespace perjoule;

namespace {

using Capabilities = std::vector<std::string>;

std::string packaged(const std::string& name) {
  std::ifstream file(PERJOULE_SOURCE_DIR "/deploy/systemd/" + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("the packaged unit and its drop-ins give the service's user and capabilities") {
  const std::string unit = packaged("perjouled.service");
  REQUIRE_FALSE(unit.empty());
  CHECK(parse_unit({unit}).text() == "user perjoule with CAP_DAC_READ_SEARCH (perjouled.service)");
  CHECK(parse_unit({unit, packaged("perjouled.service.d/00-no-rapl.conf")}).text() ==
        "user perjoule with no capability (perjouled.service)");
  CHECK(parse_unit({unit, packaged("perjouled.service.d/00-no-rapl.conf"), packaged("perjouled.service.d/perf.conf")})
            .capabilities == Capabilities{"CAP_PERFMON"});
  CHECK(parse_unit({unit, "[Service]\nUser=alice\nAmbientCapabilities=CAP_SYSLOG  CAP_DAC_READ_SEARCH\n"}).text() ==
        "user alice with CAP_DAC_READ_SEARCH, CAP_SYSLOG (perjouled.service)");
  CHECK(parse_unit({"[Service]\nExecStart=x\n# User=bob"}).name == "root");
  CHECK(parse_unit({"User=\r\nUser"}).name == "root");
}

TEST_CASE("the unit's file is the first of systemd's directories, and an empty one masks it") {
  const std::filesystem::path root = std::filesystem::temp_directory_path() / "perjoule-doctor-test";
  std::filesystem::remove_all(root);
  const auto write = [&](const std::string& name, const std::string& text) {
    std::filesystem::create_directories((root / name).parent_path());
    std::ofstream(root / name) << text;
  };
  CHECK_FALSE(service_user(root));
  write("lib/systemd/system/perjouled.service", "User=perjoule\nAmbientCapabilities=CAP_SYSLOG\n");
  write("lib/systemd/system/perjouled.service.d/50-a.conf", "AmbientCapabilities=\n");
  CHECK(service_user(root)->text() == "user perjoule with no capability (perjouled.service)");
  write("etc/systemd/system/perjouled.service.d/50-a.conf", "# nothing\n");  // instead of the other of that name
  CHECK(service_user(root)->text() == "user perjoule with CAP_SYSLOG (perjouled.service)");
  write("etc/systemd/system/perjouled.service", "User=own\n");
  CHECK(service_user(root)->name == "own");
  write("etc/systemd/system/perjouled.service", "");
  CHECK_FALSE(service_user(root));
  std::filesystem::remove_all(root);
}

TEST_CASE("the states of a running daemon are read from its exposition") {
  const auto states = states_in(
      "# TYPE perjoule_source_state gauge\n"
      "perjoule_source_state{source=\"rapl\",device=\"package-0\",state=\"ok\"} 0\n"
      "perjoule_source_state{source=\"rapl\",device=\"package-0\",state=\"denied\"} 1\n"
      "perjoule_source_state{source=\"nvml\",device=\"GPU-1\",gpu=\"0\",uuid=\"GPU-1\",state=\"stuck\"} 1\n"
      "perjoule_source_state{source=\"cpu\",device=\"\",state=\"ok\"} 1\n"
      "perjoule_source_state{source=\"cpu\",device=\"x\",state=\"later\"} 1\n"
      "perjoule_source_state{source=\"broken\n"
      "perjoule_source_state_other{source=\"cpu\",state=\"ok\"} 1\n"
      "perjoule_source_state} 1");
  CHECK(states.size() == 3);
  CHECK(states.at({"rapl", "package-0"}) == SourceState::denied);
  CHECK(states.at({"nvml", "GPU-1"}) == SourceState::stuck);
  CHECK(states.at({"cpu", ""}) == SourceState::ok);
  CHECK(states_in("").empty());
}

TEST_CASE("the number of GPUs is read from an exposition") {
  CHECK(value_in("# x\nperjoule_gpus 7\nperjoule_gpus_expected 8\n", "perjoule_gpus") == 7);
  CHECK(value_in("# x\nperjoule_gpus 7\nperjoule_gpus_expected 8\n", "perjoule_gpus_expected") == 8);
  CHECK(value_in("perjoule_gpus{} 7\nperjoule_gpus x", "perjoule_gpus") == 0);
}

TEST_CASE("a listen address is asked where a client on this host reaches it") {
  CHECK(reachable(":10190") == "127.0.0.1:10190");
  CHECK(reachable("0.0.0.0:1") == "127.0.0.1:1");
  CHECK(reachable("[::]:1") == "[::1]:1");
  CHECK(reachable("[::1]:1") == "[::1]:1");
  CHECK(reachable("10.0.0.1:1") == "10.0.0.1:1");
  CHECK(reachable("").empty());
}
