#include "daemon/commands/replay.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/fakes/tree.hpp"

using namespace perjoule;

namespace {

std::vector<std::string> names(const Result<Replay>& replay) {
  REQUIRE(replay.has_value());
  std::vector<std::string> found;
  for (const std::filesystem::path& second : replay->seconds) {
    CHECK(second.is_absolute());
    found.push_back(second.filename());
  }
  return found;
}

}  // namespace

TEST_CASE("replay: a root directory is one second; folders with numbers are seconds in their order") {
  const Tree tree;
  for (const char* file : {"9/sys/x", "10/proc/x", "2/sys/x", "0/sys/x", "1x/sys/x", "-1/sys/x", "3/other/x", "4"})
    tree.write(file, "");
  CHECK(names(open_replay(tree.root())) == std::vector<std::string>{"0", "2", "9", "10"});
  CHECK(names(open_replay(tree.at("10"))) == std::vector<std::string>{"10"});
  tree.write("proc/stat", "");
  const Result<Replay> root = open_replay(tree.root());
  REQUIRE(root.has_value());
  CHECK(root->seconds == std::vector{std::filesystem::canonical(tree.root())});
  CHECK_FALSE(root->has_scenario);
  tree.write("scenario.json", "{}");
  CHECK(open_replay(tree.root())->has_scenario);
}

TEST_CASE("replay: what is no recording is refused by name") {
  const Tree tree;
  tree.write("file", "");
  for (const auto& directory : {tree.root(), tree.at("file"), tree.at("absent")}) {
    const Result<Replay> replay = open_replay(directory);
    REQUIRE_FALSE(replay.has_value());
    CHECK(replay.error().what.starts_with(directory.native() + ": "));
  }
  for (std::size_t second = 0; second <= Replay::seconds_max; ++second)
    std::filesystem::create_directories(tree.at(std::to_string(second) + "/sys"));
  CHECK_FALSE(open_replay(tree.root()).has_value());
  std::filesystem::remove_all(tree.at("0"));
  CHECK(names(open_replay(tree.root())).size() == Replay::seconds_max);
}

TEST_CASE("replay: nothing of this host is read") {
  config::Settings settings;
  settings.collectors["textfile"].options.set("directory", "/var/lib/perjoule/textfile");
  const config::Settings recorded = settings_of_recording(settings);
  for (const auto& path : {recorded.roots.procfs, recorded.roots.sysfs, recorded.roots.cgroupfs, recorded.roots.rootfs})
    CHECK(path.is_relative());
  CHECK(recorded.roots.nvml.empty());
  CHECK_FALSE(recorded.storage.enabled);
  CHECK(recorded.collectors.at("textfile").options.text("directory") == "./var/lib/perjoule/textfile");
  CHECK(settings_of_recording({}).collectors.at("textfile").options.text("directory").empty());

  settings.roots.nvml = "build/libnvidia-ml.so.1";
  CHECK(settings_of_recording(settings).roots.nvml == std::filesystem::current_path() / "build/libnvidia-ml.so.1");
  settings.roots.nvml = "libother.so";
  CHECK(settings_of_recording(settings).roots.nvml == "libother.so");
}
