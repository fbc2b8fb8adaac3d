#include "daemon/web/routes.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/http/gzip.hpp"
#include "tests/fakes/virtual_clock.hpp"
#include "tests/unit/daemon/http/gunzip.hpp"

using namespace perjoule;
using namespace perjoule::web;

namespace {

constexpr std::string_view prometheus_2_42 =
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
constexpr std::string_view prometheus_3 =
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
constexpr std::string_view prometheus_3_protobuf =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,"
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

constexpr auto heat = gauge<Unit::celsius>("perjoule_test_celsius", "Heat of a test.", "sensor");
constexpr auto load = gauge<Unit::ratio>("perjoule_test_ratio", "Load of a test.");
constexpr std::int64_t second_ns = nanoseconds_per_second;

struct Fixture {
  asio::io_context loop{1};
  fakes::VirtualClock clock{loop, {100 * second_ns, 1'795'424'400'000}};
  Latest latest;
  Instruments instruments{BuildInfo{"1.2.3", "abc", "main", "g++"}};
  SourceStatusTable source_status;
  Reloader::Outcome reload_outcome = Reloader::Outcome::accepted;
  int reloads = 0;
  std::function<void()> finish_reload;
  Routes routes{setup(true)};

  Fixture() {
    latest.declare(SeriesId{0}, heat, R"(sensor="a")");
    latest.declare(SeriesId{1}, load, "");
    show(SeriesId{0}, 40);
    show(SeriesId{1}, 0.5);
  }
  Setup setup(bool lifecycle) {
    Setup setup{clock, latest, instruments, source_status, "/metrics", "1.2.3 <abc>", {}, {}};
    setup.collects = {{"thermal", {heat.name}}, {"cpu", {load.name}}, {"self", {}}};
    if (lifecycle) {
      setup.reload = [this](Reloader::Done done) {
        ++reloads;
        finish_reload = [this, done = std::move(done)] { done(reload_outcome); };
      };
    }
    return setup;
  }
  void show(SeriesId id, double value) {
    const Sample sample{id, value};
    latest.set(std::span(&sample, 1), clock.now().steady_ns, 10 * second_ns);
  }
  http::Response get(std::string path, http::Request request = {}) {
    if (request.method.empty()) request.method = "GET";
    request.path = std::move(path);
    return routes(request);
  }
  std::string scrape(std::vector<std::pair<std::string, std::string>> query = {}, std::string accept = {}) {
    http::Request request;
    request.query = std::move(query);
    request.accept = std::move(accept);
    const http::Response response = get("/metrics", request);
    CHECK(response.status == 200);
    return *response.body;
  }
};

std::string header(const http::Response& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return {};
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

TEST_CASE("the format for each Accept header") {
  const struct {
    std::string_view accept;
    Format format;
  } table[] = {
      {prometheus_2_42, Format::openmetrics},
      {prometheus_3, Format::openmetrics},
      {prometheus_3_protobuf, Format::openmetrics},
      {"application/openmetrics-text", Format::openmetrics},
      {"application/openmetrics-text; version=1.0.0; charset=utf-8", Format::openmetrics},
      {"", Format::text},
      {"*/*", Format::text},
      {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::text},
      {"text/plain;version=0.0.4;q=1,*/*;q=0.1", Format::text},
      {"text/plain,application/openmetrics-text;q=0.5", Format::text},
      {"application/openmetrics-text;q=0", Format::text},
      {"application/openmetrics-text;version=2.0.0", Format::text},
      {"application/openmetrics-textual", Format::text},
      {";;;,,,q=,;q", Format::text},
      {"application/openmetrics-text;q=nonsense", Format::openmetrics},
      {"Application/OpenMetrics-Text; Version=1.0.0; Q=0.5, Text/Plain; Q=0.4", Format::openmetrics},
      {"Application/OpenMetrics-Text; Version=1.0.0; Q=0.4, Text/Plain; Q=0.5", Format::text},
      {"application/openmetrics-text; VERSION=2.0.0", Format::text},
      {"application/openmetrics-text; version=\"1.0.0\"", Format::openmetrics},
  };
  for (const auto& row : table) {
    CAPTURE(row.accept);
    CHECK(negotiate(row.accept) == row.format);
  }
}

TEST_CASE_FIXTURE(Fixture, "/metrics in both formats, with the daemon's own instruments") {
  const http::Response text = get("/metrics");
  CHECK(text.content_type == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(header(text, "Vary") == "Accept, Accept-Encoding");
  CHECK(has(*text.body, "\nperjoule_test_celsius{sensor=\"a\"} 40\n"));
  CHECK(has(*text.body, "\nperjoule_build_info{"));
  CHECK_FALSE(has(*text.body, "# EOF"));
  http::Request request;
  request.accept = prometheus_2_42;
  const http::Response open = get("/metrics", request);
  CHECK(open.content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8");
  CHECK(open.body->ends_with("\n# EOF\n"));
  CHECK(has(*open.body, "# UNIT perjoule_test_celsius celsius\n"));
}

TEST_CASE_FIXTURE(Fixture, "gzip when it is accepted, with the same content") {
  http::Request request;
  const std::string plain = *get("/metrics", request).body;
  request.accept_encoding = "gzip";
  for (int i = 0; i < 2; ++i) {
    const http::Response response = get("/metrics", request);
    CHECK(response.content_encoding == "gzip");
    CHECK(gunzip(*response.body) == plain);
  }
  request.query = {{"collect[]", "thermal"}};
  const http::Response filtered = get("/metrics", request);
  CHECK(filtered.content_encoding == "gzip");
  CHECK(has(gunzip(*filtered.body), "perjoule_test_celsius"));
  request.accept_encoding = "gzip;q=0";
  CHECK(get("/metrics", request).content_encoding.empty());
}

TEST_CASE_FIXTURE(Fixture, "an exposition is rendered once per 100 ms and format, and never older than that") {
  const std::string first = scrape();
  show(SeriesId{0}, 41);
  CHECK(scrape() == first);
  clock.run_until(clock.now().steady_ns + 100 * nanoseconds_per_millisecond);
  CHECK(scrape() == first);
  CHECK(has(scrape({}, std::string(prometheus_3)), "{sensor=\"a\"} 41\n"));
  clock.run_until(clock.now().steady_ns + 1);
  CHECK(has(scrape(), "{sensor=\"a\"} 41\n"));
  clock.run_until(clock.now().steady_ns + 11 * second_ns);
  CHECK_FALSE(has(scrape(), "perjoule_test_"));
}

TEST_CASE_FIXTURE(Fixture, "collect[] takes one or several collectors, and refuses an unknown one") {
  const std::string thermal = scrape({{"collect[]", "thermal"}});
  CHECK(has(thermal, "perjoule_test_celsius"));
  CHECK_FALSE(has(thermal, "perjoule_test_ratio"));
  CHECK_FALSE(has(thermal, "perjoule_build_info"));
  const std::string both = scrape({{"collect[]", "thermal"}, {"other", "x"}, {"collect[]", "cpu"}});
  CHECK(has(both, "perjoule_test_celsius"));
  CHECK(has(both, "perjoule_test_ratio"));
  const std::string self = scrape({{"collect[]", "self"}});
  CHECK(has(self, "perjoule_build_info"));
  CHECK_FALSE(has(self, "perjoule_test_"));
  CHECK(has(scrape({{"other", "x"}}), "perjoule_build_info"));
  CHECK(scrape({{"collect[]", "cpu"}}, std::string(prometheus_3)).ends_with("# EOF\n"));
  http::Request request;
  request.query = {{"collect[]", "thermal"}, {"collect[]", "nvml"}};
  const http::Response refused = get("/metrics", request);
  CHECK(refused.status == 400);
  CHECK(has(*refused.body, "nvml"));
}

TEST_CASE_FIXTURE(Fixture, "each set of collectors is rendered once per 100 ms and format, whatever its order") {
  const std::string thermal = scrape({{"collect[]", "thermal"}});
  const std::string both = scrape({{"collect[]", "thermal"}, {"collect[]", "cpu"}});
  show(SeriesId{0}, 41);
  CHECK(scrape({{"collect[]", "thermal"}}) == thermal);
  CHECK(scrape({{"collect[]", "cpu"}, {"collect[]", "thermal"}, {"collect[]", "cpu"}}) == both);
  http::Request request;
  request.query = {{"collect[]", "thermal"}};
  CHECK(get("/metrics", request).body == get("/metrics", request).body);
  request.accept_encoding = "gzip";
  CHECK(get("/metrics", request).body == get("/metrics", request).body);
  clock.run_until(clock.now().steady_ns + 100 * nanoseconds_per_millisecond + 1);
  CHECK(has(scrape({{"collect[]", "thermal"}}), "{sensor=\"a\"} 41\n"));
}

TEST_CASE_FIXTURE(Fixture, "the number of renderings that are kept is limited") {
  Setup many = setup(false);
  std::vector<std::string> names;
  for (int n = 0; n < 100; ++n)
    many.collects[names.emplace_back("c" + std::to_string(n))] = {load.name};
  const http::BodyBudget bodies = many.bodies;
  Routes all(std::move(many));
  http::Request request;
  request.method = "GET";
  request.path = "/metrics";
  std::size_t one = 0;
  for (const std::string& name : names) {
    request.query = {{"collect[]", name}};
    const std::size_t size = all(request).body->size();
    one = one == 0 ? size : one;
    CHECK(size == one);
    CHECK(bodies.held() <= 16 * one);
  }
  CHECK(bodies.held() == 16 * one);
}

TEST_CASE_FIXTURE(Fixture, "health answers any client; ready follows the source_status") {
  CHECK(get("/-/healthy").status == 200);
  CHECK(get("/-/ready").status == 503);
  source_status.set({{}, true, "off"});
  CHECK(get("/-/ready").status == 200);
  source_status.set({{}, false, "off"});
  CHECK(get("/-/ready").status == 503);
}

TEST_CASE_FIXTURE(Fixture, "HEAD is answered like GET; other methods are refused, and unknown paths are not found") {
  http::Request head;
  head.method = "HEAD";
  head.loopback = true;
  for (const char* path : {"/metrics", "/-/healthy", "/"})
    CHECK(get(path, head).status == 200);
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get"}) {
    http::Request request;
    request.method = method;
    request.loopback = true;
    for (const char* path : {"/metrics", "/-/healthy", "/-/ready", "/"}) {
      const http::Response response = get(path, request);
      CHECK(response.status == 405);
      CHECK(header(response, "Allow") == "GET, HEAD");
    }
  }
  for (const char* path : {"/metrics/", "/metric", "/-/", "/favicon.ico", "/api%2Fv1/labels"})
    CHECK(get(path).status == 404);
}

TEST_CASE_FIXTURE(Fixture, "a path with empty or dot segments is moved to the clean one, with its query") {
  const struct {
    const char* path;
    const char* location;
  } table[] = {{"//api/v1/query", "/api/v1/query?a=%20b"},
               {"/api//v1/query", "/api/v1/query?a=%20b"},
               {"/../metrics", "/metrics?a=%20b"},
               {"//evil.example/", "/evil.example/?a=%20b"},
               {"//", "/?a=%20b"},
               {"//a\r\nb", "/a%0D%0Ab?a=%20b"}};
  for (const auto& row : table) {
    CAPTURE(row.path);
    http::Request request;
    request.query_text = "a=%20b";
    const http::Response response = get(row.path, request);
    CHECK(response.status == 301);
    CHECK(header(response, "Location") == row.location);
  }
}

TEST_CASE_FIXTURE(Fixture, "reload: POST or PUT, only when it is enabled; the response does not have the errors") {
  const auto post = [this](std::string method = "POST") {
    http::Request request;
    request.method = std::move(method);
    request.loopback = true;
    return get("/-/reload", request);
  };
  std::optional<http::Response> answer;
  const auto finish = [&](const http::Response& response) {
    REQUIRE(response.later);
    answer.reset();
    response.later([&answer](http::Response made) { answer = std::move(made); });
    CHECK_FALSE(answer);  // the web thread waits for nothing
    finish_reload();
    REQUIRE(answer);
  };
  const auto later = [this] { clock.run_until(clock.now().steady_ns + second_ns); };
  CHECK(get("/-/reload").status == 405);
  CHECK(reloads == 0);
  finish(post());
  CHECK(answer->status == 200);
  later();
  reload_outcome = Reloader::Outcome::refused;
  finish(post("PUT"));
  CHECK(answer->status == 500);
  CHECK(*answer->body == "configuration refused, see the log; the running one stays in force.\n");
  later();
  reload_outcome = Reloader::Outcome::hangs;
  finish(post());
  CHECK(answer->status == 503);
  CHECK(answer->body->starts_with("the configuration files are still being read"));
  CHECK(reloads == 3);
  Routes without(setup(false));
  http::Request request;
  request.method = "POST";
  request.path = "/-/reload";
  request.loopback = true;
  CHECK(without(request).status == 403);
  CHECK(reloads == 3);
}

TEST_CASE_FIXTURE(Fixture, "reload: at most one per second, and none while one is under way; local clients only") {
  const auto post = [this](std::string origin = {}) {
    http::Request request;
    request.method = "POST";
    request.loopback = true;
    request.host = "localhost:10190";
    request.origin = std::move(origin);
    return get("/-/reload", request);
  };
  const auto ignore = [](http::Response) {};
  const auto later = [this] { clock.run_until(clock.now().steady_ns + second_ns); };
  CHECK(post("http://evil.example").status == 403);
  CHECK(post("http://localhost:8080").status == 403);
  post("http://localhost:10190").later(ignore);
  CHECK(reloads == 1);
  later();
  const http::Response busy = post();  // the first one is still under way
  CHECK(busy.status == 429);
  CHECK(header(busy, "Retry-After") == "1");
  finish_reload();
  post().later(ignore);
  finish_reload();
  CHECK(reloads == 2);
  for (int i = 0; i < 1000; ++i)
    CHECK(post().status == 429);
  later();
  CHECK(post().later);
}

TEST_CASE_FIXTURE(Fixture, "the page answers loopback clients only, and has no script") {
  CHECK(get("/").status == 403);
  http::Request request;
  request.loopback = true;
  const http::Response page = get("/", request);
  CHECK(page.status == 200);
  CHECK(page.content_type == "text/html; charset=utf-8");
  CHECK(header(page, "Content-Security-Policy") == "default-src 'none'; style-src 'unsafe-inline'");
  CHECK_FALSE(has(*page.body, "<script"));
}

TEST_CASE_FIXTURE(Fixture, "the page shows every source with its state in words, and escapes device names") {
  SourceStatus bad;
  bad.source = "hwmon";
  bad.device = "<script>alert(\"x\")</script>&amp;";
  bad.state = SourceState::denied;
  bad.what = "EACCES <b>";
  bad.remedy = "chmod \"a+r\" <file>";
  bad.faults = 7;
  SourceStatus good;
  good.source = "cpu";
  good.state = SourceState::ok;
  good.last_success_seconds = 1'795'424'397;
  good.duration_seconds = 0.0025;
  SourceStatus starting;
  starting.source = "nvml";
  source_status.set({{bad, good, starting}, true, "/var/lib/<perjoule>: no space left"});
  http::Request request;
  request.loopback = true;
  const std::string page = *get("/", request).body;
  CHECK(has(page, "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;amp;"));
  CHECK_FALSE(has(page, "<script"));
  CHECK(has(page, "EACCES &lt;b&gt;<br>Remedy: <code>chmod &quot;a+r&quot; &lt;file&gt;</code>"));
  CHECK(has(page, "/var/lib/&lt;perjoule&gt;: no space left"));
  CHECK(has(page, "1.2.3 &lt;abc&gt;"));
  for (const char* words : {"denied", "ok</td>", "starting", "3 s ago", "never", "2.5 ms", "href=\"metrics\"",
                            "As of 2026-11-23T09:00:00Z"}) {
    CAPTURE(words);
    CHECK(has(page, words));
  }
  CHECK_FALSE(has(page, "href=\"/"));  // relative, because a proxy may serve the page below a path
  // Every opened element is closed.
  for (const char* element : {"html", "body", "table", "tbody", "thead", "tr", "td", "th", "code", "h1", "h2", "p"}) {
    std::size_t opened = 0;
    std::size_t closed = 0;
    for (std::size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at + 1)) {
      const std::string_view rest = std::string_view(page).substr(at + 1);
      const std::string_view name = rest.substr(0, rest.find_first_of(" >"));
      opened += name == element ? 1U : 0U;
      closed += name == std::string("/") + element ? 1U : 0U;
    }
    CAPTURE(element);
    CHECK(opened == closed);
  }
}
