// The answers of Prometheus' HTTP API over the daemon's own history: shapes, texts and statuses as Prometheus 2.42
// gives them (its web/api/v1), so that Grafana takes the daemon for one.
//
//   query, query_range                  PromQL as parser.hpp reads it; GET or a form, that is the caller's business
//   series, labels, label/NAME/values   what there is
//   metadata, status/buildinfo          from the build
//   query_exemplars                     none, always
//
// Errors are JSON: 400 bad_data, 422 execution (PromQL that is not answered here, too, by its name and place), 503
// timeout, 500 internal, 404 not_found. On the caller's thread, which is the source's.
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

// What `status/buildinfo` says.
struct Build {
  std::string version;
  std::string revision;
  std::string branch;
  std::string compiler;
};

struct Environment {
  Source& source;
  std::span<const Metric* const> metrics = {};    // of `metadata`
  bool (*is_histogram)(const Metric&) = nullptr;  // which of them are; null: none
  Build build = {};
  std::int64_t now_ms = 0;  // since 1970: the time of a query that names none
  Limits limits = {};
};

// `path` is what stands behind "/api/v1/", decoded.
[[nodiscard]] Answer answer(std::string_view path, const Parameters& parameters, const Environment& environment);

// For a refusal before there is an answer, such as 503 timeout.
[[nodiscard]] Answer error_answer(unsigned status, std::string_view type, std::string_view what);

}  // namespace perjoule::query
