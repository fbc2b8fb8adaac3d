#include "daemon/http/response_head.hpp"

#include <doctest/doctest.h>

using namespace perjoule::http;

TEST_CASE("response head: length, type, coding, extra fields, Connection") {
  Response response;
  response.body = make_body("12345");
  response.content_encoding = "gzip";
  response.headers.emplace_back("Vary", "Accept-Encoding");
  CHECK(response_head(response, After::open) ==
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Encoding: gzip\r\n"
        "Vary: Accept-Encoding\r\n\r\n");
  CHECK(response_head({}, After::close)->ends_with("\r\nConnection: close\r\n\r\n"));
  CHECK(response_head({}, After::keep_alive)->ends_with("\r\nConnection: keep-alive\r\n\r\n"));
  CHECK(response_head({}, After::open)->find("Content-Length: 0\r\n") != std::string::npos);
  response.status = 204;
  CHECK(response_head(response, After::open)->find("Content-") == std::string::npos);
}

TEST_CASE("response head: refuses everything that would break the framing") {
  for (unsigned status : {0U, 100U, 199U, 600U, 1000U}) {
    Response response;
    response.status = status;
    CHECK_FALSE(response_head(response, After::open));
  }
  for (const auto& value : {std::string("a\rb"), std::string("a\nb"), std::string("\r\n"), std::string("a\0b", 3)}) {
    Response type;
    type.content_type = value;
    CHECK_FALSE(response_head(type, After::open));
    Response coding;
    coding.content_encoding = value;
    CHECK_FALSE(response_head(coding, After::open));
    Response extra;
    extra.headers.emplace_back("X-Test", value);
    CHECK_FALSE(response_head(extra, After::open));
  }
  for (auto name : {"", "a b", "a:", "a\r\n", "Content-Length", "transfer-encoding", "CONNECTION", "Content-Type"}) {
    Response response;
    response.headers.emplace_back(name, "1");
    CHECK_FALSE_MESSAGE(response_head(response, After::open), std::string(name));
  }
}

TEST_CASE("response head: the server's refusals name allowed methods or a retry time, and close") {
  auto text = refusal(405, "why");
  CHECK(text.starts_with("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 28\r\n"));
  CHECK(text.find("Allow: GET, HEAD, POST, PUT\r\n") != std::string::npos);
  CHECK(text.ends_with("Connection: close\r\n\r\n405 Method Not Allowed: why\n"));
  CHECK(refusal(503, "busy").find("Retry-After: 1\r\n") != std::string::npos);
}
