#include "daemon/query/api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

#include "config/json_writer.hpp"
#include "config/text.hpp"
#include "daemon/query/evaluate/evaluator.hpp"
#include "daemon/query/promql/literal.hpp"
#include "daemon/query/promql/parser.hpp"
#include "daemon/query/render.hpp"

namespace perjoule::query {
namespace {

constexpr std::size_t matches_max = 64;  // `match[]` of one request

Answer answer_of(const Error& error) {
  switch (error.fault) {
    case Fault::broken:
      return error_answer(400, "bad_data", error.what);
    case Fault::denied:
      return error_answer(422, "execution", error.what);
    case Fault::timeout:
      return error_answer(503, "timeout", error.what);
    case Fault::absent:
    case Fault::transient:
      break;
  }
  return error_answer(500, "internal", error.what);
}

// Fault::broken from the source means a failed history (500), not an invalid query (400).
Answer source_failed(const Error& error) {
  return error.fault == Fault::broken ? error_answer(500, "internal", error.what) : answer_of(error);
}

// {"status":"success","data":
std::string begin_answer() {
  std::string body;
  JsonWriter(body).begin_object().member("status", "success").key("data");
  return body;
}

Answer finish(std::string body, const std::vector<std::string>& warnings = {}) {
  JsonWriter json(body);
  if (!warnings.empty()) {
    json.key("warnings").begin_array();
    for (const std::string& warning : warnings)
      json.string(warning);
    json.end_array();
  }
  json.end_object();
  return {200, std::move(body)};
}

Answer too_long(const Environment& environment) {
  return error_answer(422, "execution",
                      fmt::format("the answer would exceed {} bytes; use a larger step or a shorter range",
                                  environment.limits.answer_bytes_max));
}

Answer evaluated(const Parameters& parameters, const Environment& environment, const Grid& grid, bool range) {
  const auto expression = parse(parameter(parameters, "query"));
  if (!expression) {
    const Error& error = expression.error();
    return answer_of(error.fault == Fault::broken ? invalid("query", error.what) : error);
  }
  if (range && (expression->type() == ValueType::matrix || expression->type() == ValueType::text)) {
    return error_answer(400, "bad_data",
                        fmt::format("invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
                                    name(expression->type())));
  }
  const auto resolution = source_resolution_parameter(parameters, grid.step_ms);
  if (!resolution) return answer_of(resolution.error());
  const auto value = evaluate(*expression, grid, environment.source, environment.limits, *resolution);
  if (!value) return source_failed(value.error());
  std::string body = begin_answer();
  const std::size_t bytes_max = environment.limits.answer_bytes_max;
  const bool fits =
      range ? append_range(body, *value, grid, bytes_max) : append_instant(body, *value, grid.from_ms, bytes_max);
  return fits ? finish(std::move(body), value->warnings) : too_long(environment);
}

Answer query(const Parameters& parameters, const Environment& environment) {
  const auto at = time_parameter(parameters, "time", environment.now_ms);
  if (!at) return answer_of(at.error());
  if (const auto timeout = check_timeout(parameters); !timeout) return answer_of(timeout.error());
  return evaluated(parameters, environment, {*at, *at, 0}, false);
}

Answer query_range(const Parameters& parameters, const Environment& environment) {
  const auto start = time_parameter(parameters, "start", std::nullopt);
  if (!start) return answer_of(start.error());
  const auto end = time_parameter(parameters, "end", std::nullopt);
  if (!end) return answer_of(end.error());
  if (*end < *start) return answer_of(invalid("end", "end timestamp must not be before start time"));
  const auto step = step_parameter(parameters);
  if (!step) return answer_of(step.error());
  if ((*end - *start) / *step > points_max) {
    return error_answer(400, "bad_data",
                        "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query "
                        "resolution (?step=XX)");
  }
  if (const auto timeout = check_timeout(parameters); !timeout) return answer_of(timeout.error());
  return evaluated(parameters, environment, {*start, *end, *step}, true);
}

// All of `match[]`, in order.
Result<std::vector<std::vector<Matcher>>> match_parameters(const Parameters& parameters) {
  std::vector<std::vector<Matcher>> matches;
  for (const auto& [name, value] : parameters) {
    if (name != "match[]") continue;
    if (matches.size() == matches_max) return invalid("match[]", fmt::format("more than {} selectors", matches_max));
    auto matchers = parse_selector(value);
    if (!matchers) {
      if (matchers.error().fault == Fault::denied) return matchers.error();
      return invalid("match[]", matchers.error().what);
    }
    matches.push_back(std::move(*matchers));
  }
  return matches;
}

struct Found {
  std::vector<Labels> series;  // sorted, no duplicates
  std::vector<std::string> warnings;
  std::size_t limit = 0;  // 0: no limit
};

// The series that the parameters start, end and match[] select.
Result<Found> find(const Parameters& parameters, const Environment& environment, bool needs_match) {
  const auto start = time_parameter(parameters, "start", std::numeric_limits<std::int64_t>::min());
  if (!start) return start.error();
  const auto end = time_parameter(parameters, "end", std::numeric_limits<std::int64_t>::max());
  if (!end) return end.error();
  const auto limit = limit_parameter(parameters);
  if (!limit) return limit.error();
  auto matches = match_parameters(parameters);
  if (!matches) return matches.error();
  if (matches->empty()) {
    if (needs_match) return Error{Fault::broken, "no match[] parameter provided"};
    matches->emplace_back();
  }
  Found found{{}, {}, *limit};
  for (const auto& matchers : *matches) {
    auto series = environment.source.series(matchers, *start, *end);
    if (!series) {
      Error error = series.error();
      if (error.fault == Fault::broken) error.fault = Fault::transient;
      return error;
    }
    std::move(series->begin(), series->end(), std::back_inserter(found.series));
    // After each selector, so that many selectors of the same series do not multiply the memory.
    std::sort(found.series.begin(), found.series.end());
    found.series.erase(std::unique(found.series.begin(), found.series.end()), found.series.end());
  }
  return found;
}

// How many of `size` results to return; adds a warning if the limit cuts some off.
std::size_t shown(Found& found, std::size_t size) {
  if (found.limit == 0 || size <= found.limit) return size;
  found.warnings.emplace_back("results truncated due to limit");
  return found.limit;
}

Answer series(const Parameters& parameters, const Environment& environment) {
  auto found = find(parameters, environment, true);
  if (!found) return answer_of(found.error());
  const std::size_t count = shown(*found, found->series.size());
  std::string body = begin_answer();
  JsonWriter json(body);
  json.begin_array();
  for (std::size_t i = 0; i < count; ++i) {
    append_json(body, found->series[i]);
    if (body.size() > environment.limits.answer_bytes_max) return too_long(environment);
  }
  json.end_array();
  return finish(std::move(body), found->warnings);
}

Answer string_list(Found& found, const std::set<std::string_view>& all, const Environment& environment) {
  std::size_t left = shown(found, all.size());
  std::string body = begin_answer();
  JsonWriter json(body);
  json.begin_array();
  for (const std::string_view string : all) {
    if (left-- == 0) break;
    json.string(string);
    if (body.size() > environment.limits.answer_bytes_max) return too_long(environment);
  }
  json.end_array();
  return finish(std::move(body), found.warnings);
}

Answer labels(const Parameters& parameters, const Environment& environment) {
  auto found = find(parameters, environment, false);
  if (!found) return answer_of(found.error());
  std::set<std::string_view> names;
  for (const Labels& one : found->series) {
    for (const auto& pair : one)
      names.insert(pair.first);
  }
  return string_list(*found, names, environment);
}

bool is_label_name(std::string_view name) {
  const auto is_alpha = [](char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !name.empty() && is_alpha(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_alpha(c) || (c >= '0' && c <= '9'); });
}

Answer label_values(std::string_view name, const Parameters& parameters, const Environment& environment) {
  if (!is_label_name(name)) {
    return error_answer(400, "bad_data", "invalid label name: " + text::quoted(name));
  }
  auto found = find(parameters, environment, false);
  if (!found) return answer_of(found.error());
  std::set<std::string_view> values;
  for (const Labels& one : found->series) {
    if (const std::string_view value = label_value(one, name); !value.empty()) values.insert(value);
  }
  return string_list(*found, values, environment);
}

bool is_histogram(const Metric& metric, const Environment& environment) {
  return environment.is_histogram != nullptr && environment.is_histogram(metric);
}

// The families that an instant query finds now. Prometheus' are those of the last scrapes.
Answer metadata(const Parameters& parameters, const Environment& environment) {
  const auto limit = limit_parameter(parameters);
  if (!limit) return error_answer(400, "bad_data", "limit must be a number");
  const auto series = environment.source.series({}, environment.now_ms - lookback_ms, environment.now_ms);
  if (!series) return source_failed(series.error());
  std::set<std::string> names;
  for (const Labels& labels : *series)
    names.emplace(label_value(labels, name_label));
  const std::string_view name = parameter(parameters, "metric");
  std::vector<const Metric*> metrics;
  for (const Metric* metric : environment.metrics) {
    const std::string part = std::string(metric->name) + (is_histogram(*metric, environment) ? "_count" : "");
    if ((name.empty() || metric->name == name) && names.contains(part)) metrics.push_back(metric);
  }
  std::sort(metrics.begin(), metrics.end(), [](const Metric* a, const Metric* b) { return a->name < b->name; });
  const auto same = [](const Metric* a, const Metric* b) { return a->name == b->name; };
  metrics.erase(std::unique(metrics.begin(), metrics.end(), same), metrics.end());
  if (*limit > 0 && metrics.size() > *limit) metrics.resize(*limit);
  std::string body = begin_answer();
  JsonWriter json(body);
  json.begin_object();
  for (const Metric* metric : metrics) {
    json.key(metric->name).begin_array().begin_object();
    json.member("type", is_histogram(*metric, environment) ? "histogram"
                        : metric->kind == Kind::counter    ? "counter"
                                                           : "gauge");
    json.member("help", metric->help).member("unit", suffix(metric->unit)).end_object().end_array();
  }
  json.end_object();
  return finish(std::move(body));
}

// Without the member `features`: Grafana takes a server that has it for Grafana Mimir.
Answer build_info(const Build& build) {
  std::string body = begin_answer();
  JsonWriter json(body);
  json.begin_object().member("version", build.version).member("revision", build.revision);
  json.member("branch", build.branch).member("buildUser", "").member("buildDate", "");
  json.member("goVersion", build.compiler).end_object();
  return finish(std::move(body));
}

}  // namespace

Answer error_answer(unsigned status, std::string_view type, std::string_view what) {
  std::string body;
  JsonWriter(body)
      .begin_object()
      .member("status", "error")
      .member("errorType", type)
      .member("error", what)
      .end_object();
  return {status, std::move(body)};
}

Answer answer(std::string_view path, const Parameters& parameters, const Environment& environment) {
  constexpr std::string_view label_head = "label/";
  constexpr std::string_view label_tail = "/values";
  if (path == "query") return query(parameters, environment);
  if (path == "query_range") return query_range(parameters, environment);
  if (path == "series") return series(parameters, environment);
  if (path == "labels") return labels(parameters, environment);
  if (path == "metadata") return metadata(parameters, environment);
  if (path == "status/buildinfo") return build_info(environment.build);
  if (path == "query_exemplars") return finish(begin_answer() + "[]");
  if (path.size() > label_head.size() + label_tail.size() && path.starts_with(label_head) &&
      path.ends_with(label_tail)) {
    path.remove_prefix(label_head.size());
    path.remove_suffix(label_tail.size());
    return label_values(path, parameters, environment);
  }
  return error_answer(404, "not_found", "no such endpoint");
}

}  // namespace perjoule::query
