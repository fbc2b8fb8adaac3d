// Prometheus' HTTP API (/api/v1) over the daemon's own history. JSON, messages and statuses are those of Prometheus
// 2.42 (web/api/v1), so that Grafana can use the daemon as a Prometheus data source.
//
//   query, query_range                  the PromQL subset of parser.hpp
//   series, labels, label/NAME/values   series of the history
//   metadata, status/buildinfo          from the build
//   query_exemplars                     always empty
//
// The caller decodes GET and form parameters. Errors are JSON: 400 bad_data, 404 not_found, 422 execution (limits, and
// PromQL that is not supported, with its name and position), 500 internal, 503 timeout. Runs on the caller's thread,
// the only one that may read `Environment::source`.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/metric.hpp"
#include "daemon/query/evaluate/source.hpp"
#include "daemon/query/promql/limits.hpp"
#include "daemon/query/promql/literal.hpp"

namespace perjoule::query {

struct Answer {
  unsigned status = 200;
  std::string body;  // JSON
};

// The answer of `status/buildinfo`.
struct Build {
  std::string version;
  std::string revision;
  std::string branch;
  std::string compiler;
};

struct Environment {
  Source& source;
  std::span<const Metric* const> metrics = {};    // of which `metadata` shows those with samples
  bool (*is_histogram)(const Metric&) = nullptr;  // whether one of `metrics` is a histogram; null: none is
  Build build = {};
  std::int64_t now_ms = 0;  // wall clock: the time of a query without `time`
  Limits limits = {};
};

// `path` is the decoded rest of the URL path after "/api/v1/".
[[nodiscard]] Answer answer(std::string_view path, const Parameters& parameters, const Environment& environment);

// An error in Prometheus' JSON form; also for callers that refuse a request themselves, for example with 503 timeout.
[[nodiscard]] Answer error_answer(unsigned status, std::string_view type, std::string_view what);

}  // namespace perjoule::query
