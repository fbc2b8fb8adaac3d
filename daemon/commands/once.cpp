#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "collectors/labels.hpp"
#include "config/json_writer.hpp"
#include "config/text.hpp"
#include "daemon/commands/commands.hpp"
#include "daemon/commands/survey.hpp"
#include "daemon/record/metrics.hpp"

namespace perjoule {

namespace {

constexpr std::chrono::milliseconds once_limit{6000};
constexpr std::chrono::milliseconds doctor_limit{4000};

// Families about the sources: the table leaves them out, because `doctor` shows them.
bool about_sources(const Metric& metric) {
  constexpr std::array<const Metric*, 5> families = {&source_state, &collector_last_success, &collector_duration,
                                                     &collector_faults, &collector_missed_ticks};
  return std::find(families.begin(), families.end(), &metric) != families.end();
}

void print_table(const Survey& survey) {
  std::string family;
  survey.latest.visit(survey.steady_ns, [&](const Metric& metric, std::string_view labels, double value) {
    if (about_sources(metric)) return;
    if (family != metric.name) fmt::print("{}{}\n", family.empty() ? "" : "\n", metric.name);
    family = metric.name;
    std::string number;
    text::append_number(number, value);
    fmt::print("  {:<70} {:>16} {}\n", text::printable(labels), number, suffix(metric.unit));
  });
}

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
void print_json(const Survey& survey) {
  std::string out;
  const auto append_line = [&out](const std::string& object) {
    out += out.back() == '[' ? "\n" : ",\n";
    out += object;
  };
  JsonWriter json(out);
  json.begin_object().key("time").number(static_cast<double>(survey.wall_ms) / 1000).key("samples").begin_array();
  survey.latest.visit(survey.steady_ns, [&](const Metric& metric, std::string_view labels, double value) {
    append_line(sample_json(metric, labels, value));
  });
  out += '\n';
  json.end_array().key("sources").begin_array();
  for (const SourceStatus& status : survey.sources)
    append_line(source_json(status));
  out += '\n';
  json.end_array().end_object();
  fmt::print("{}\n", out);
}

// Returns `code`, or exits with it if a lane still hangs in a driver: its thread cannot be ended, and a normal exit
// would destroy objects that it uses.
int leave(const Survey& survey, int code) {
  std::fflush(stdout);
  if (!survey.lanes_ended) _exit(code);
  return code;
}

}  // namespace

int run_once(const config::Settings& settings, std::string_view format) {
  const std::unique_ptr<Survey> seen = survey(settings, 2, once_limit);
  if (format == "prometheus") {
    std::string text;
    seen->latest.write(text, Format::text, seen->steady_ns);
    fmt::print("{}", text);
  } else if (format == "json") {
    print_json(*seen);
  } else {
    print_table(*seen);
  }
  return leave(*seen, exit_ok);
}

int run_doctor(const config::Settings& settings) {
  const std::unique_ptr<Survey> seen = survey(settings, 1, doctor_limit);
  std::size_t denied = 0;
  std::size_t failed = 0;
  fmt::print("{:<14} {:<44} {:<8} {}\n", "SOURCE", "DEVICE", "STATE", "WHY");
  for (const SourceStatus& status : seen->sources) {
    const SourceState state = status.state.value_or(SourceState::stuck);
    denied += state == SourceState::denied ? 1U : 0U;
    failed += state == SourceState::error || state == SourceState::stuck ? 1U : 0U;
    fmt::print("{:<14} {:<44} {:<8} {}\n", status.source, text::printable(status.device), name(state),
               text::printable(status.what));
    if (!status.remedy.empty() && state != SourceState::ok)
      fmt::print("{:<14} remedy: {}\n", "", text::printable(status.remedy));
  }
  for (const auto& [name_of, collector] : settings.collectors) {
    if (!collector.enabled) fmt::print("{:<14} {:<44} {:<8} {}\n", name_of, "", "off", "disabled by the configuration");
  }
  if (failed == 0 && denied == 0) fmt::print("\nNo source is failing or denied.\n");
  const int code = failed > 0 ? exit_failure : (denied > 0 ? exit_permission : exit_ok);
  return leave(*seen, code);
}

}  // namespace perjoule
