// `once`: samples, prints, ends; with `watch` again each second.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "collectors/labels.hpp"
#include "config/json_writer.hpp"
#include "daemon/commands/commands.hpp"
#include "daemon/commands/findings.hpp"
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

}  // namespace

int run_once(const config::Settings& settings, std::string_view format, bool watch) {
  SurveyPlan plan{.calls = 2};
  if (watch) {
    const bool terminal = ::isatty(STDOUT_FILENO) == 1;
    plan.each_second = [&settings, format, terminal, first = true](const Survey& survey) mutable {
      if (terminal) fmt::print("{}", home_and_clear);
      if (!terminal && !first) fmt::print("\n");
      first = false;
      print(survey, settings, format);
    };
  }
  const std::unique_ptr<Survey> seen = survey(settings, plan);
  if (!watch) print(*seen, settings, format);
  return leave(*seen, exit_ok);
}

}  // namespace perjoule
