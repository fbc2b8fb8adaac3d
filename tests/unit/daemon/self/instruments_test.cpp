#include "daemon/self/instruments.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using namespace perjoule;

namespace {

const BuildInfo build{"1.2.3", "abc\"def", "main\\x", "g++ 12"};

std::string text_of(const Instruments& instruments, Format format = Format::text, const Latest::Admit& admit = {}) {
  std::string out;
  instruments.write(out, format, admit);
  return out;
}

std::vector<std::string> lines_with(const std::string& text, std::string_view start) {
  std::vector<std::string> found;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(start)) found.push_back(line);
  }
  return found;
}

bool holds(const std::string& text, std::string_view line) {
  return text.find("\n" + std::string(line) + "\n") != std::string::npos;
}

// Gives every instrument a value.
void feed(Instruments& instruments) {
  storage::Report report;
  report.ledger_committed = true;
  report.history_attempted = true;
  report.history_committed = true;
  report.ledger_seconds = 0.003;
  report.history_seconds = 0.3;
  report.appended_samples = 10;
  report.dropped_samples = 2;
  report.refused_samples = 4;
  report.expired_samples = 5;
  report.undecodable = 6;
  report.size = {.bytes = 4096,
                 .series = 17,
                 .oldest_ms = 1'795'424'400'500,
                 .tail_rows = 1,
                 .reach_ms = {{86'400'000, 0, 172'800'000}}};
  instruments.storage(report);
  instruments.scrape(1000, 0.0002);
  instruments.query(200);
  instruments.query(503);
  instruments.lateness(-1);
  instruments.lateness(0.003);
  instruments.reload(true, 1'795'424'400.5);
  instruments.series(50, 3);
  instruments.process(2.5);
}

}  // namespace

TEST_CASE("histograms in both formats: cumulative buckets, canonical bounds, sum and count") {
  Instruments instruments(build);
  feed(instruments);
  for (const Format format : {Format::text, Format::openmetrics}) {
    const std::string text = text_of(instruments, format);
    CHECK(holds(text, "# TYPE perjoule_sampling_lateness_seconds histogram"));
    const auto buckets = lines_with(text, "perjoule_sampling_lateness_seconds_bucket");
    REQUIRE(buckets.size() == 12);
    CHECK(buckets[0] == R"(perjoule_sampling_lateness_seconds_bucket{le="0.0001"} 1)");
    CHECK(buckets[4] == R"(perjoule_sampling_lateness_seconds_bucket{le="0.0025"} 1)");
    CHECK(buckets[5] == R"(perjoule_sampling_lateness_seconds_bucket{le="0.005"} 2)");
    CHECK(buckets[10] == R"(perjoule_sampling_lateness_seconds_bucket{le="1.0"} 2)");
    CHECK(buckets[11] == R"(perjoule_sampling_lateness_seconds_bucket{le="+Inf"} 2)");
    CHECK(holds(text, "perjoule_sampling_lateness_seconds_sum 0.003"));
    CHECK(holds(text, "perjoule_sampling_lateness_seconds_count 2"));
    CHECK(holds(text, R"(perjoule_storage_commit_duration_seconds_bucket{file="history",le="5.0"} 1)"));
    CHECK(holds(text, R"(perjoule_storage_commit_duration_seconds_sum{file="ledger"} 0.003)"));
  }
}

TEST_CASE("samples that the history refused, dropped and holds") {
  Instruments instruments(build);
  feed(instruments);
  feed(instruments);
  const std::string text = text_of(instruments, Format::text);
  CHECK(holds(text, "perjoule_storage_refused_samples_total 8"));
  CHECK(holds(text, "perjoule_storage_expired_samples_total 10"));
  CHECK(holds(text, "perjoule_storage_undecodable_frames_total 12"));
  CHECK(holds(text, R"(perjoule_storage_retention_seconds{resolution="raw"} 86400)"));
  CHECK(holds(text, R"(perjoule_storage_retention_seconds{resolution="minute"} +Inf)"));
  CHECK(holds(text, R"(perjoule_storage_retention_seconds{resolution="hour"} 172800)"));
}

TEST_CASE("queries by the status of their answers, including statuses without any answer") {
  Instruments instruments(build);
  feed(instruments);
  const std::string text = text_of(instruments, Format::text);
  CHECK(holds(text, R"(perjoule_queries_total{code="200"} 1)"));
  CHECK(holds(text, R"(perjoule_queries_total{code="422"} 0)"));
  CHECK(holds(text, R"(perjoule_queries_total{code="503"} 1)"));
}

TEST_CASE("OpenMetrics: counters end in _total, every bound is a canonical float") {
  Instruments instruments(build);
  feed(instruments);
  const std::string text = text_of(instruments, Format::openmetrics);
  for (const std::string& type : lines_with(text, "# TYPE ")) {
    const std::string family = type.substr(7, type.find(' ', 7) - 7);
    CAPTURE(type);
    CHECK_FALSE(family.ends_with("_total"));
    if (type.ends_with(" counter")) CHECK_FALSE(lines_with(text, family + "_total").empty());
  }
  std::size_t bounds = 0;
  for (std::size_t at = text.find("le=\""); at != std::string::npos; at = text.find("le=\"", at + 1)) {
    if (text[at - 1] == 'i') continue;  // file="
    const std::string bound = text.substr(at + 4, text.find('"', at + 4) - at - 4);
    CHECK((bound == "+Inf" || bound.find_first_of(".e") != std::string::npos));
    ++bounds;
  }
  CHECK(bounds == 2 * 11 + 9 + 12);
  CHECK(holds(text, "# TYPE perjoule_build info"));
  CHECK(
      holds(text, R"(perjoule_build_info{branch="main\\x",compiler="g++ 12",revision="abc\"def",version="1.2.3"} 1)"));
}

TEST_CASE("every family of the list is written once it has a value, and no other family") {
  Instruments instruments(build);
  const std::string empty = text_of(instruments);
  // Nothing is known of the history yet: a size of 0 would be wrong.
  for (const char* absent : {"perjoule_storage_size_bytes", "perjoule_storage_series", "perjoule_self_energy"})
    CHECK(empty.find(absent) == std::string::npos);
  feed(instruments);
  const std::string text = text_of(instruments);
  std::set<std::string> shown;
  for (const std::string& type : lines_with(text, "# TYPE "))
    CHECK(shown.insert(type.substr(7, type.find(' ', 7) - 7)).second);
  std::set<std::string> listed;
  for (const Metric* metric : Instruments::metrics())
    listed.emplace(metric->name);
  CHECK(shown == listed);
}

TEST_CASE("reports, requests and series are counted as they come") {
  Instruments instruments(build);
  storage::Report failed;
  failed.error = "no space left on device";
  failed.history_failed = true;  // it was due, and was not attempted because the ledger failed
  instruments.storage(failed);
  instruments.storage(failed);
  failed.ledger_committed = true;
  instruments.storage(failed);
  failed.ledger_committed = false;
  failed.history_failed = false;  // it was not due
  failed.ledger_recoveries = 1;
  failed.history_recoveries = 2;
  failed.starved_checkpoints = 3;
  instruments.storage(failed);
  http::Stats stats;
  stats.requests = 5;
  stats.requests_refused = 2;
  stats.connections_open = 3;
  instruments.http(stats);
  instruments.http(stats);
  instruments.series(7, 4);
  instruments.log_dropped(3);
  instruments.log_dropped(9);
  instruments.reload(true, 100);
  instruments.reload(false, 200);
  const std::string text = text_of(instruments);
  CHECK(holds(text, R"(perjoule_storage_failed_commits_total{file="ledger"} 3)"));
  CHECK(holds(text, R"(perjoule_storage_failed_commits_total{file="history"} 3)"));
  CHECK(holds(text, R"(perjoule_storage_recoveries_total{file="ledger"} 1)"));
  CHECK(holds(text, R"(perjoule_storage_recoveries_total{file="history"} 2)"));
  CHECK(holds(text, "perjoule_storage_starved_checkpoints_total 3"));
  CHECK(holds(text, "perjoule_http_requests_total 5"));
  CHECK(holds(text, "perjoule_http_requests_refused_total 2"));
  CHECK(holds(text, "perjoule_http_connections 3"));
  CHECK(holds(text, "perjoule_series 7"));
  CHECK(holds(text, "perjoule_series_refused_total 4"));
  CHECK(holds(text, "perjoule_log_dropped_lines_total 9"));
  CHECK(holds(text, "perjoule_config_last_reload_successful 0"));
  CHECK(holds(text, "perjoule_config_last_reload_success_timestamp_seconds 100"));
  CHECK(text.find("perjoule_storage_size_bytes") == std::string::npos);
}

TEST_CASE("only admitted families are written") {
  Instruments instruments(build);
  const std::string text =
      text_of(instruments, Format::text, [](const Metric& metric) { return metric.name == "perjoule_series"; });
  CHECK(lines_with(text, "# TYPE ").size() == 1);
  CHECK(text.ends_with("\nperjoule_series 0\n"));
}
