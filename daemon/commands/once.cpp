// `once`: samples, prints, ends; with `watch` again each second, with `replay` a recorded host.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "collectors/labels.hpp"
#include "collectors/sysfs.hpp"
#include "config/json_writer.hpp"
#include "config/text.hpp"
#include "daemon/commands/commands.hpp"
#include "daemon/commands/findings.hpp"
#include "daemon/commands/replay.hpp"
#include "daemon/commands/survey.hpp"
#include "daemon/commands/table.hpp"

namespace perjoule {

namespace {

constexpr std::string_view home_and_clear = "\x1B[H\x1B[J";  // ECMA-48: CUP, ED

std::string sample_json(const Metric& metric, std::string_view labels, double value) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().member("metric", metric.name).key("labels");
  append_json(out, parse_labels(labels).value_or(Labels{}));
  json.key("value").number(value).end_object();
  return out;
}

std::string source_json(const SourceStatus& status) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().member("source", status.source).member("device", status.device);
  json.member("state", status.state ? name(*status.state) : "starting");
  json.member("what", status.what).member("remedy", status.remedy).end_object();
  return out;
}

// A line for each sample and source, so that grep finds one.
std::string json(const Survey& survey, const std::vector<Finding>& findings) {
  std::string out;
  const auto append_line = [&out](const std::string& object) {
    out += out.back() == '[' ? "\n" : ",\n";
    out += object;
  };
  JsonWriter json(out);
  json.begin_object().member("verdict", verdict(survey, findings));
  json.key("time").number(static_cast<double>(survey.wall_ms) / 1000).key("samples").begin_array();
  survey.latest.visit(survey.steady_ns, [&](const Metric& metric, std::string_view labels, double value) {
    append_line(sample_json(metric, labels, value));
  });
  out += '\n';
  json.end_array().key("sources").begin_array();
  for (const SourceStatus& status : survey.sources)
    append_line(source_json(status));
  out += '\n';
  json.end_array().end_object();
  return out + '\n';
}

void print(const Survey& survey, const config::Settings& settings, std::string_view format) {
  std::string text;
  if (format == "prometheus") {
    survey.latest.write(text, Format::text, survey.steady_ns);
  } else if (format == "json") {
    text = json(survey, findings(survey, settings));
  } else {
    text = table(survey, findings(survey, settings));
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

int sample(const config::Settings& settings, const OnceRequest& request, SurveyPlan plan) {
  if (request.watch) {
    const bool terminal = ::isatty(STDOUT_FILENO) == 1;
    plan.each_second = [&settings, &request, terminal, first = true](const Survey& survey) mutable {
      if (terminal) fmt::print("{}", home_and_clear);
      if (!terminal && !first) fmt::print("\n");
      first = false;
      print(survey, settings, request.format);
    };
  }
  const std::unique_ptr<Survey> seen = survey(settings, plan);
  if (!request.watch) print(*seen, settings, request.format);
  return leave(*seen, exit_ok);
}

// What a recorded host has beside its files: GPUs, which a library must play.
void set_scenario(const Replay& replay, const config::Settings& settings) {
  if (!replay.has_scenario) return;
  const std::string scenario = replay.directory / "scenario.json";
  if (settings.roots.nvml.empty()) {
    fmt::print(stderr, "{}: not played; its GPUs need --path.nvml=BUILD/tests/nvml/libnvidia-ml.so.1\n",
               text::printable(scenario));
    return;
  }
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no thread has been started yet
  ::setenv("PERJOULE_NVML_SCENARIO", scenario.c_str(), 0);
}

// The plan that reads the seconds of a recording from the first to the last. With `watch` they are shown as they pass.
SurveyPlan plan_of(const Replay& replay, bool watch) {
  const std::size_t seconds = replay.seconds.size();
  SurveyPlan plan{.calls = 2};
  if (seconds == 1) return plan;
  if (!watch) plan.calls = static_cast<unsigned>(seconds);
  plan.limit += std::chrono::seconds(seconds);
  plan.next_second = [&replay, next = std::size_t{0}]() mutable {
    if (next == replay.seconds.size()) return false;
    const Result<void> entered = enter(replay.seconds[next++]);
    if (!entered) fmt::print(stderr, "{}\n", entered.error().what);
    return true;
  };
  sysfs::keep_open_at_most(0);  // a file that stays open would show its first second for ever
  return plan;
}

}  // namespace

int run_once(const config::Settings& settings, const OnceRequest& request) {
  if (request.replay.empty()) return sample(settings, request, {.calls = 2});
  const Result<Replay> replay = open_replay(request.replay);
  if (!replay) {
    fmt::print(stderr, "--replay: {}\n", replay.error().what);
    return exit_usage;
  }
  const config::Settings recorded = settings_of_recording(settings);
  if (const Result<void> entered = enter(replay->seconds.front()); !entered) {
    fmt::print(stderr, "--replay: {}\n", entered.error().what);
    return exit_failure;
  }
  set_scenario(*replay, recorded);
  return sample(recorded, request, plan_of(*replay, request.watch));
}

}  // namespace perjoule
