// The /api/v1/ routes: which clients they answer, and requests to a real history file.
#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/query/reader.hpp"
#include "daemon/web/routes.hpp"
#include "tests/fakes/virtual_clock.hpp"
#include "tests/unit/daemon/query/recording.hpp"

using namespace perjoule;
using namespace perjoule::web;

namespace {

constexpr auto power = gauge<Unit::watt>("perjoule_test_power_watts", "Power of a test.", "gpu");
constexpr std::int64_t now_ms = query::begin_ms + 60'500;

struct Fixture {
  storage::Scratch scratch;
  asio::io_context loop{1};
  fakes::VirtualClock clock{loop, {100 * nanoseconds_per_second, now_ms}};
  Latest latest;
  Instruments instruments{BuildInfo{"1.2.3", "abc", "main", "g++"}};
  SourceStatusTable source_status;
  std::optional<query::Reader> reader;
  std::optional<Routes> routes;
  int asked = 0;

  Fixture() {
    query::Recording(scratch / "history.db").record(query::begin_ms, query::begin_ms + 60'000);
    reader.emplace(query::Reader::Setup{loop,
                                        clock,
                                        std::make_unique<fakes::VirtualLane>(clock, [] { return 1; }),
                                        scratch / "history.db",
                                        {&power},
                                        {"1.2.3", "abc", "main", "g++"}});
    Setup setup{clock, latest, instruments, source_status, "/metrics", "1.2.3", {}, {}};
    setup.ask = [this](std::string path, query::Parameters parameters, query::Reader::Reply reply) {
      ++asked;
      reader->ask(std::move(path), std::move(parameters), std::move(reply));
    };
    routes.emplace(std::move(setup));
  }
  http::Response call(http::Request request) {
    http::Response response = (*routes)(request);
    if (!response.later) return response;
    std::optional<http::Response> answer;
    response.later([&answer](http::Response made) { answer = std::move(made); });
    clock.run_until(clock.now().steady_ns + nanoseconds_per_second);
    REQUIRE(answer);
    return *answer;
  }
  static http::Request local(std::string path, std::string method = "GET") {
    http::Request request;
    request.method = std::move(method);
    request.path = std::move(path);
    request.host = "localhost:10190";
    request.loopback = true;
    return request;
  }
  http::Response get(std::string path, query::Parameters parameters = {}) {
    http::Request request = local("/api/v1/" + std::move(path));
    request.query = std::move(parameters);
    return call(std::move(request));
  }
};

constexpr std::string_view one_series = R"({"__name__":"perjoule_test_power_watts","gpu":"0"})";

}  // namespace

TEST_CASE_FIXTURE(Fixture, "api: answers only loopback clients that use localhost or an address as Host") {
  const auto status = [&](bool loopback, std::string host) {
    http::Request request = local("/api/v1/labels");
    request.loopback = loopback;
    request.host = std::move(host);
    return call(std::move(request)).status;
  };
  for (const char* host :
       {"", "localhost", "localhost:10190", "127.0.0.1:10190", "127.1.2.3", "[::1]:10190", "10.1.2.3"}) {
    CAPTURE(host);
    CHECK(status(true, host) == 200);
    CHECK(status(false, host) == 403);
  }
  asked = 0;
  for (const char* host : {"evil.example", "evil.example:10190", "127.0.0.1.evil.example", "localhost.evil.example"}) {
    CAPTURE(host);
    CHECK(status(true, host) == 403);
  }
  CHECK(asked == 0);
  http::Request request = local("/api/v1/labels");
  request.host = "gpu-07";
  CHECK(*call(std::move(request)).body ==
        R"x({"status":"error","errorType":"forbidden","error":"this API answers only requests for localhost or an IP )x"
        R"x(address (Host was \"gpu-07\")"})x");
}

TEST_CASE_FIXTURE(Fixture, "api: JSON with no-store and nosniff, for GET, HEAD and POST with form data") {
  const http::Response got = get("query", {{"query", "perjoule_test_power_watts"}});
  CHECK(got.status == 200);
  CHECK(got.content_type == "application/json");
  const std::vector<std::pair<std::string, std::string>> headers = {{"X-Content-Type-Options", "nosniff"},
                                                                    {"Cache-Control", "no-store"}};
  CHECK(got.headers == headers);
  const std::string expected = R"({"status":"success","data":{"resultType":"vector","result":[{"metric":)" +
                               std::string(one_series) + R"(,"value":[1795392060.500,"60"]}]}})";
  CHECK(*got.body == expected);

  http::Request form = local("/api/v1/query", "POST");
  form.query = {{"time", "1795392055"}};
  form.body = "query=perjoule_test_power_watts%7Bgpu%3D%220%22%7D+*+2";
  CHECK(call(form).body->find(R"("value":[1795392055,"110"])") != std::string::npos);
  // As Go's Request.Form: the body's parameter wins over the URL's, and a body of another type has none.
  form.query.emplace_back("query", "1");
  CHECK(call(form).body->find(R"("value":[1795392055,"110"])") != std::string::npos);
  form.content_type = "Application/X-WWW-Form-Urlencoded; charset=utf-8";
  CHECK(call(form).body->find(R"("value":[1795392055,"110"])") != std::string::npos);
  form.content_type = "application/json";
  CHECK(call(form).body->find(R"("result":[1795392055,"1"])") != std::string::npos);
  CHECK(call(local("/api/v1/labels", "HEAD")).status == 200);
  for (const char* method : {"PUT", "DELETE"})
    CHECK(call(local("/api/v1/query", method)).status == 405);
}

TEST_CASE_FIXTURE(Fixture, "api: every endpoint with a history file") {
  const auto data = [&](std::string path, query::Parameters parameters = {}) {
    const http::Response got = get(std::move(path), std::move(parameters));
    CHECK(got.status == 200);
    const std::string head = R"({"status":"success","data":)";
    REQUIRE(got.body->starts_with(head));
    return got.body->substr(head.size(), got.body->size() - head.size() - 1);
  };
  CHECK(data("labels") == R"(["__name__","gpu"])");
  CHECK(data("label/__name__/values") == R"(["perjoule_test_energy_joules_total","perjoule_test_power_watts"])");
  CHECK(data("label/gpu/values") == R"(["0"])");
  CHECK(data("series", {{"match[]", "{__name__=~\".*watts\"}"}}) == "[" + std::string(one_series) + "]");
  CHECK(data("metadata", {{"metric", "perjoule_test_power_watts"}}) ==
        R"({"perjoule_test_power_watts":[{"type":"gauge","help":"Power of a test.","unit":"watts"}]})");
  CHECK(data("status/buildinfo").starts_with(R"({"version":"1.2.3","revision":"abc")"));
  CHECK(data("query_range", {{"query", "rate(perjoule_test_energy_joules_total[30s])"},
                             {"start", "1795392040"},
                             {"end", "1795392060"},
                             {"step", "10"}}) == R"({"resultType":"matrix","result":[{"metric":{"gpu":"0"},"values":)"
                                                 R"([[1795392040,"1"],[1795392050,"1"],[1795392060,"1"]]}]})");
}

TEST_CASE_FIXTURE(Fixture, "api: invalid and unsupported requests have different statuses") {
  const auto error = [&](std::string path, query::Parameters parameters) {
    const http::Response got = get(std::move(path), std::move(parameters));
    CHECK(got.content_type == "application/json");
    return std::to_string(got.status) + " " + *got.body;
  };
  CHECK(error("query", {{"query", "1 +"}}).starts_with(R"(400 {"status":"error","errorType":"bad_data",)"));
  CHECK(error("query", {{"query", "1"}, {"time", "noon"}}).starts_with("400 "));
  CHECK(error("query_range", {{"query", "1"}, {"start", "2"}, {"end", "1"}, {"step", "1"}}).starts_with("400 "));
  CHECK(error("series", {}).starts_with("400 "));
  CHECK(error("label/no-label/values", {}).starts_with("400 "));
  CHECK(error("nothing", {}).starts_with("404 "));
  const std::string unsupported = error("query", {{"query", "topk(3, perjoule_test_power_watts)"}});
  CHECK(unsupported.starts_with("422 "));
  CHECK(unsupported.find("topk() at 1:1") != std::string::npos);
  http::Request form = local("/api/v1/query", "POST");
  form.body = "query=%zz";
  CHECK(call(form).status == 400);
}

TEST_CASE_FIXTURE(Fixture, "api: without storage the API answers 503 and says why") {
  routes.emplace(Setup{clock, latest, instruments, source_status, "/metrics", "1.2.3", {}, {}, {}});
  const http::Response got = get("labels");
  CHECK(got.status == 503);
  CHECK(got.body->find("--no-storage") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "api: alerts and rules are passed to ask_rules, with storage or without") {
  std::string path;
  Setup setup{clock, latest, instruments, source_status, "/metrics", "1.2.3", {}, {}};
  setup.ask_rules = [&path](std::string asked_path, query::Parameters parameters, query::Reader::Reply reply) {
    path = std::move(asked_path);
    reply({200, "{" + parameters.at(0).second + "}"});
  };
  routes.emplace(std::move(setup));
  for (const char* each : {"alerts", "rules"}) {
    CHECK(*get(each, {{"type", "alert"}}).body == "{alert}");
    CHECK(path == each);
  }
  http::Request foreign = local("/api/v1/alerts");
  foreign.loopback = false;
  CHECK(call(std::move(foreign)).status == 403);
}
