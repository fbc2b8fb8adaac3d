#include "daemon/query/api.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

#include "daemon/query/json.hpp"
#include "tests/fakes/memory_source.hpp"

namespace perjoule::query {
namespace {

constexpr auto power = gauge<Unit::watt>("perjoule_test_power_watts", "Power that a \"test\" made up.", "gpu");
constexpr auto energy = counter<Unit::joule>("perjoule_test_energy_joules_total", "Energy of a test.", "gpu");
constexpr const Metric* metrics[] = {&power, &energy};

struct Server {
  MemorySource source;
  Limits limits;

  Server() {
    source.add({{"__name__", "power"}, {"gpu", "0"}}, {{1'000, 1.5}, {2'250, 2}});
    source.add({{"__name__", "power"}, {"gpu", "a \"b\"\n"}}, {{2'000, 1e21}});
  }
  Answer get(std::string_view path, Parameters parameters) {
    return answer(path, parameters,
                  {.source = source,
                   .metrics = metrics,
                   .build = {.version = "1.2.3", .revision = "abc", .branch = "main", .compiler = "g++ 12"},
                   .now_ms = 2'500,
                   .limits = limits});
  }
  std::string body(std::string_view path, Parameters parameters) {
    const Answer got = get(path, std::move(parameters));
    CHECK(got.status == 200);
    return got.body;
  }
  // "STATUS BODY" of an answer, for error answers.
  std::string refusal(std::string_view path, Parameters parameters) {
    const Answer got = get(path, std::move(parameters));
    return std::to_string(got.status) + " " + got.body;
  }
};

}  // namespace

TEST_CASE("the JSON of query and query_range") {
  Server server;
  CHECK(server.body("query", {{"query", "1+1"}, {"time", "4"}}) ==
        R"({"status":"success","data":{"resultType":"scalar","result":[4,"2"]}})");
  CHECK(server.body("query", {{"query", "'a'"}}) ==
        R"({"status":"success","data":{"resultType":"string","result":[2.500,"a"]}})");
  CHECK(server.body("query", {{"query", "power"}, {"time", "2.05"}}) ==
        R"({"status":"success","data":{"resultType":"vector","result":[)"
        R"({"metric":{"__name__":"power","gpu":"0"},"value":[2.050,"1.5"]},)"
        R"({"metric":{"__name__":"power","gpu":"a \"b\"\n"},"value":[2.050,"1000000000000000000000"]}]}})");
  CHECK(server.body("query", {{"query", "power{gpu='0'}[1m]"}, {"time", "3"}}) ==
        R"({"status":"success","data":{"resultType":"matrix","result":[)"
        R"({"metric":{"__name__":"power","gpu":"0"},"values":[[1,"1.5"],[2.250,"2"]]}]}})");
  CHECK(server.body("query_range", {{"query", "sum(power{gpu='0'})"}, {"start", "1"}, {"end", "3"}, {"step", "1"}}) ==
        R"({"status":"success","data":{"resultType":"matrix","result":[)"
        R"({"metric":{},"values":[[1,"1.5"],[2,"1.5"],[3,"2"]]}]}})");
  CHECK(server.body("query_range", {{"query", "time()"}, {"start", "1"}, {"end", "2"}, {"step", "500ms"}}) ==
        R"({"status":"success","data":{"resultType":"matrix","result":[)"
        R"({"metric":{},"values":[[1,"1"],[1.500,"1.5"],[2,"2"]]}]}})");
  CHECK(server.body("query", {{"query", "nothing"}}) ==
        R"({"status":"success","data":{"resultType":"vector","result":[]}})");
  server.source.warning = "answered from minute roll-ups";
  CHECK(server.body("query", {{"query", "nothing"}}) ==
        R"({"status":"success","data":{"resultType":"vector","result":[]},)"
        R"("warnings":["answered from minute roll-ups"]})");
}

TEST_CASE("max_source_resolution has the meaning and the values of Thanos") {
  Server server;
  const auto requested = [&](std::string resolution, std::string_view path = "query_range") {
    Parameters parameters = {{"query", "max_over_time(power[1m])"}, {"start", "0"}, {"end", "600"}, {"step", "300"}};
    if (!resolution.empty()) parameters.emplace_back("max_source_resolution", std::move(resolution));
    CHECK(server.get(path, parameters).status == 200);
    return server.source.wants.back().source_resolution_ms;
  };
  CHECK(requested("") == 0);
  CHECK(requested("0s") == 0);
  CHECK(requested("1m") == 60'000);
  CHECK(requested("3600") == 3'600'000);
  CHECK(requested("auto") == 60'000);
  CHECK(requested("auto", "query") == 0);
  CHECK(server.refusal("query", {{"query", "1"}, {"max_source_resolution", "fine"}}) ==
        R"(400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"max_source_resolution\": )"
        R"(cannot parse \"fine\" to a valid duration"})");
  CHECK(server.get("query", {{"query", "1"}, {"max_source_resolution", "-1m"}}).status == 400);
  CHECK(server.get("query", {{"query", "1"}, {"max_source_resolution", "-60"}}).status == 400);
}

TEST_CASE("labels, label values and series") {
  Server server;
  CHECK(server.body("labels", {}) == R"({"status":"success","data":["__name__","gpu"]})");
  CHECK(server.body("label/gpu/values", {}) == R"({"status":"success","data":["0","a \"b\"\n"]})");
  CHECK(server.body("label/gpu/values", {{"match[]", "power{gpu='0'}"}, {"match[]", "nothing"}}) ==
        R"({"status":"success","data":["0"]})");
  CHECK(server.body("label/gpu/values", {{"start", "2.1"}}) == R"({"status":"success","data":["0"]})");
  CHECK(server.body("label/none/values", {}) == R"({"status":"success","data":[]})");
  CHECK(server.body("series", {{"match[]", "power{gpu='0'}"}, {"match[]", "power{gpu!~'(?s:a.*)'}"}}) ==
        R"({"status":"success","data":[{"__name__":"power","gpu":"0"}]})");
  CHECK(server.body("labels", {{"limit", "1"}}) ==
        R"({"status":"success","data":["__name__"],"warnings":["results truncated due to limit"]})");
  CHECK(server.refusal("series", {}) ==
        R"(400 {"status":"error","errorType":"bad_data","error":"no match[] parameter provided"})");
  CHECK(server.get("label/a-b/values", {}).status == 400);
}

TEST_CASE("metadata, buildinfo and exemplars") {
  Server server;
  CHECK(server.body("metadata", {}) == R"({"status":"success","data":{}})");  // none has samples
  server.source.add({{"__name__", "perjoule_test_power_watts"}}, {{2'000, 1}});
  CHECK(server.body("metadata", {}) ==
        R"({"status":"success","data":{)"
        R"("perjoule_test_power_watts":[{"type":"gauge","help":"Power that a \"test\" made up.","unit":"watts"}]}})");
  server.source.add({{"__name__", "perjoule_test_energy_joules_total"}}, {{2'000, 1}});
  CHECK(server.body("metadata", {}) ==
        R"({"status":"success","data":{)"
        R"("perjoule_test_energy_joules_total":[{"type":"counter","help":"Energy of a test.","unit":"joules"}],)"
        R"("perjoule_test_power_watts":[{"type":"gauge","help":"Power that a \"test\" made up.","unit":"watts"}]}})");
  CHECK(server.body("metadata", {{"metric", "none"}}) == R"({"status":"success","data":{}})");
  CHECK(server.body("status/buildinfo", {}) ==
        R"({"status":"success","data":{"version":"1.2.3","revision":"abc","branch":"main","buildUser":"",)"
        R"("buildDate":"","goVersion":"g++ 12"}})");
  CHECK(server.body("query_exemplars", {{"start", "1700000000000"}}) == R"({"status":"success","data":[]})");
}

TEST_CASE("errors and their HTTP status") {
  Server server;
  CHECK(server.get("nothing", {}).status == 404);
  CHECK(server.get("label//values", {}).status == 404);
  CHECK(server.refusal("query", {{"query", "rate("}}) ==
        R"(400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:6: parse error: )"
        R"(unclosed left parenthesis"})");
  CHECK(server.refusal("query", {{"query", "abs(power)"}}) ==
        R"(422 {"status":"error","errorType":"execution","error":"unsupported: abs() at 1:1: )"
        R"(perjouled supports a subset of PromQL, see its README; for full PromQL scrape /metrics with Prometheus"})");
  CHECK(server.refusal("query_range", {{"query", "1"}, {"start", "0"}, {"end", "11001"}, {"step", "1"}}) ==
        R"(400 {"status":"error","errorType":"bad_data","error":"exceeded maximum resolution of 11,000 points per )"
        R"-(timeseries. Try decreasing the query resolution (?step=XX)"})-");
  CHECK(server.get("query_range", {{"query", "1"}, {"start", "0"}, {"end", "11000"}, {"step", "1"}}).status == 200);
  CHECK(server.get("query_range", {{"query", "power[5m]"}, {"start", "0"}, {"end", "1"}, {"step", "1"}}).status == 400);
  CHECK(server.get("query_range", {{"query", "1"}, {"start", "2"}, {"end", "1"}, {"step", "1"}}).status == 400);
  CHECK(server.get("query_range", {{"query", "1"}, {"start", "0"}, {"end", "1"}, {"step", "0.0001"}}).status == 400);
  CHECK(server.get("query", {{"query", "1"}, {"time", "soon"}}).status == 400);
  server.limits.answer_bytes_max = 100;
  CHECK(server.get("query", {{"query", "power"}}).status == 422);
  for (const auto& [fault, status] : {std::pair(Fault::timeout, 503U), std::pair(Fault::denied, 422U),
                                      std::pair(Fault::broken, 500U), std::pair(Fault::transient, 500U)}) {
    server.source.error = Error{fault, "what it was"};
    CHECK(server.get("query", {{"query", "power"}}).status == status);
    CHECK(server.get("labels", {}).status == status);
  }
}

}  // namespace perjoule::query
