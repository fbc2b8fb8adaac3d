#include "daemon/web/access.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <string_view>

using perjoule::http::Request;
using perjoule::web::refusal_of;

namespace {

Request local() {
  Request request;
  request.host = "LOCALHOST:10190";
  request.loopback = true;
  return request;
}

}  // namespace

TEST_CASE("access: a local client, as programs and as browsers ask") {
  CHECK_FALSE(refusal_of(local(), "this API"));
  for (const char* site : {"", "none", "same-origin", "same-site"}) {
    Request request = local();
    request.fetch_site = site;
    CHECK_FALSE(refusal_of(request, "this API"));
  }
  for (const char* origin : {"http://localhost:10190", "HTTP://LocalHost:10190"}) {
    Request request = local();
    request.origin = origin;
    CHECK_FALSE(refusal_of(request, "this API"));
  }
  Request address = local();
  address.host = "[::1]";
  address.origin = "http://[::1]:80";
  CHECK_FALSE(refusal_of(address, "this API"));
}

TEST_CASE("access: each refusal names its own reason") {
  std::set<std::string> reasons;
  const auto refused = [&reasons](const auto& change, std::string_view word) {
    Request request = local();
    change(request);
    const auto reason = refusal_of(request, "this API");
    REQUIRE(reason);
    CAPTURE(*reason);
    CHECK(reason->starts_with("this API answers "));
    CHECK(reason->find(word) != std::string::npos);
    CHECK(reason->size() < 300);
    CHECK(reasons.insert(*reason).second);
  };
  refused([](Request& request) { request.loopback = false; }, "another one");
  refused([](Request& request) { request.forwarded = "X-Real-IP"; }, "X-Real-IP");
  refused([](Request& request) { request.http_1_0 = true; }, "HTTP/1.0");
  refused([](Request& request) { request.fetch_site = "Cross-Site"; }, "Sec-Fetch-Site");
  refused([](Request& request) { request.host = "gpu-07"; }, R"(Host was "gpu-07")");
  // Of a long text only the beginning is repeated.
  refused([](Request& request) { request.host = std::string(10'000, 'a') + "\x1B"; }, "Host was");
  for (const char* origin :
       {"null", "http://evil.example", "http://localhost", "https://localhost:10190", "localhost:10190",
        "http://localhost:10190/", "http://localhost:10190, http://a", "file://", "http://["}) {
    refused([&](Request& request) { request.origin = origin; }, "Origin was");
  }
}
