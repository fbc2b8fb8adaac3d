#include "daemon/commands/findings.hpp"

#include <doctest/doctest.h>

#include "tests/unit/daemon/commands/shown.hpp"

using namespace perjoule;

namespace {

// One line per finding: "! GPU 3 (0000:30:00.0) stuck"; ! marks a problem.
std::string lines(const Survey& survey, const config::Settings& settings = {}) {
  std::string text;
  for (const Finding& finding : findings(survey, settings))
    text +=
        std::string(finding.problem ? "! " : "") + title(finding) + ' ' + std::string(name(finding.condition)) + '\n';
  return text;
}

}  // namespace

TEST_CASE("what exists and is not read is a problem and comes first, GPUs by slot") {
  HandSurvey of;
  of.boards(3, 1);
  of.source("cpu", "", SourceState::ok);
  of.source("hwmon", "nvme-1", SourceState::ok, "temp3_input: Input/output error");
  of.source("nvml", "GPU-2", SourceState::stuck, "a call has not returned within 900 ms");
  of.source("nvml", "GPU-0", SourceState::ok);
  of.source("nvml", "0000:10:00.0", SourceState::error, "GPU is lost", "reset it");  // never answered: by its address
  of.source("rapl", "package-1", SourceState::denied, "no permission", "setcap");
  of.source("thermal_zone", "", SourceState::absent, "no zone", "");
  of.source("textfile", "", SourceState::absent, "no directory", "set it");
  of.source("power_model", "", std::nullopt);
  CHECK(lines(of.survey) ==
        "! GPU 1 (0000:10:00.0) error\n! GPU 2 (0000:20:00.0) stuck\n! rapl package-1 denied\n! hwmon nvme-1 partly\n"
        "! power_model stuck\nGPU 0 (0000:00:00.0) read\ncpu read\nthermal_zone absent\ntextfile absent\n");
  CHECK(problems(findings(of.survey, {})) ==
        "5 problems: GPU 1 (0000:10:00.0) error, GPU 2 (0000:20:00.0) stuck, and 3 more");
}

TEST_CASE("without the driver's library each board that the bus lists has a line with the reason") {
  HandSurvey of;
  of.boards(2, 0);
  of.survey.boards[1].uuid.clear();
  of.source("nvml", "", SourceState::absent, "libnvidia-ml.so.1: cannot open", "install it");
  CHECK(lines(of.survey) == "! GPU 0 (0000:00:00.0) absent\n! GPU 1 (0000:10:00.0) absent\n");
  const auto found = findings(of.survey, {});
  CHECK(found.at(1).remedy == "install it");
  CHECK(found.at(1).device == "0000:10:00.0");
  CHECK(problems(found) == "2 problems: GPU 0 (0000:00:00.0) absent, GPU 1 (0000:10:00.0) absent");
}

TEST_CASE("a board that has vanished is a problem while it is expected") {
  HandSurvey of;
  of.boards(2, 1);
  of.source("nvml", "GPU-0", SourceState::ok);
  CHECK(lines(of.survey) == "! GPU 1 (0000:10:00.0) absent\nGPU 0 (0000:00:00.0) read\n");
  of.survey.gpus_expected = 1;  // configured, or accepted
  CHECK(lines(of.survey) == "GPU 0 (0000:00:00.0) read\n");
  of.survey.gpus_expected = 4;  // two more, which were never seen
  CHECK(lines(of.survey) == "! GPU 1 (0000:10:00.0) absent\n! nvml missing boards absent\nGPU 0 (0000:00:00.0) read\n");
}

TEST_CASE("a board that is known by the driver's index only has that slot, unless another board has it") {
  HandSurvey of;
  of.boards(2, 2);
  of.survey.gpus_expected = 3;
  of.source("nvml", "GPU-0", SourceState::ok);
  of.source("nvml", "GPU-1", SourceState::ok);
  of.source("nvml", "index 2", SourceState::stuck);
  CHECK(lines(of.survey) == "! GPU 2 stuck\nGPU 0 (0000:00:00.0) read\nGPU 1 (0000:10:00.0) read\n");
  CHECK(findings(of.survey, {}).at(0).remedy.find("dmesg") != std::string::npos);
  of.survey.sources.back().device = "index 1";
  CHECK(lines(of.survey).starts_with("! nvml index 1 stuck\n"));
}

TEST_CASE("a host without GPUs has no problem with NVML") {
  HandSurvey of;
  of.source("nvml", "", SourceState::absent, "no library", "");
  CHECK(lines(of.survey) == "nvml absent\n");
  CHECK(problems(findings(of.survey, {})).empty());
}

TEST_CASE("a call that takes more than half of its deadline is slow, beyond it its values are lost") {
  config::Settings settings;
  settings.collectors["hwmon"].deadline = config::Milliseconds(2000);
  settings.collectors["textfile"].enabled = false;
  HandSurvey of;
  of.source("hwmon", "a", SourceState::ok).duration_seconds = 0.9;
  of.source("hwmon", "b", SourceState::ok).duration_seconds = 1.1;
  of.source("hwmon", "c", SourceState::ok).duration_seconds = 3.1;
  CHECK(lines(of.survey, settings) == "! hwmon c slow\nhwmon a read\nhwmon b slow\ntextfile off\n");
  const auto found = findings(of.survey, settings);
  CHECK(found.at(0).what == "a call takes 3.10 s, its deadline is 2 s");
  CHECK(found.at(0).remedy.find("--collector.hwmon.period=6s --collector.hwmon.deadline=6s") != std::string::npos);
}

TEST_CASE("names of devices cannot drive the terminal") {
  HandSurvey of;
  of.source("hwmon", "chip\x1b[31m\n0", SourceState::error);
  CHECK(lines(of.survey) == "! hwmon chip\\u001b[31m\\n0 error\n");
}
