#include "daemon/http/request_reader.hpp"

#include <doctest/doctest.h>

#include <random>

using perjoule::http::RequestReader;
using State = RequestReader::State;

namespace {

constexpr std::size_t header = 1024;
constexpr std::size_t body = 256;

const std::string get =
    "GET /m?a=1 HTTP/1.1\r\nHost: h\r\nAccept: text/plain\r\nAccept-Encoding: gzip\r\naccept: */*\r\n\r\n";
const std::string post = "POST /q HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nx=1+2";
const std::string chunked =
    "PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nAccept: "
    "forged\r\n\r\n";

unsigned refused_with(std::string_view text) {
  RequestReader reader(header, body);
  if (reader.read(text) != State::refused) return 0;
  CHECK_FALSE(reader.refusal().why.empty());
  return reader.refusal().status;
}

}  // namespace

TEST_CASE("request reader: the same requests for any split of the bytes") {
  const std::string stream = get + "\r\n" + post + chunked + get;
  for (std::size_t step = 1; step <= stream.size(); ++step) {
    RequestReader reader(header, body);
    std::vector<std::string> seen;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      auto state = reader.read(std::string_view(stream).substr(at, step));
      while (state == State::complete) {
        auto taken = reader.take_request();
        CHECK(taken.keep_alive);
        const auto& request = taken.request;
        seen.push_back(request.method + " " + request.path + " " + request.accept + " " + request.accept_encoding +
                       " " + request.body);
        state = reader.read({});
      }
      REQUIRE(state != State::refused);
    }
    CHECK(seen == std::vector<std::string>{"GET /m text/plain, */* gzip ", "POST /q   x=1+2", "PUT /c   abcde",
                                           "GET /m text/plain, */* gzip "});
    CHECK(reader.read({}) == State::idle);
  }
}

TEST_CASE("request reader: states while a request arrives") {
  RequestReader reader(header, body);
  CHECK(reader.read("") == State::idle);
  CHECK(reader.read("\r\n") == State::idle);
  CHECK(reader.read("PO") == State::header);
  CHECK(reader.read("ST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n") == State::header);
  CHECK_FALSE(reader.continue_due());
  CHECK(reader.read("\r\n") == State::body);
  CHECK(reader.continue_due());
  CHECK_FALSE(reader.continue_due());
  CHECK(reader.read("a") == State::body);
  CHECK(reader.read("bGET") == State::complete);
  CHECK(reader.take_request().request.body == "ab");
  CHECK(reader.read({}) == State::header);
}

TEST_CASE("request reader: whether the connection is kept") {
  auto keeps = [](std::string_view text) {
    RequestReader reader(header, body);
    REQUIRE(reader.read(text) == State::complete);
    return reader.take_request().keep_alive;
  };
  CHECK(keeps("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  CHECK_FALSE(keeps("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
  CHECK_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
  CHECK(keeps("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
}

TEST_CASE("request reader: refused requests and their status") {
  CHECK(refused_with("DELETE / HTTP/1.1\r\n") == 405);
  CHECK(refused_with("OPTIONS * HTTP/1.1\r\n") == 405);
  CHECK(refused_with("get / HTTP/1.1\r\n") == 405);
  CHECK(refused_with("GET /%zz HTTP/1.1\r\n") == 400);
  CHECK(refused_with("GET metrics HTTP/1.1\r\n") == 400);
  CHECK(refused_with("GET / HTTP/2.0\r\n") == 505);
  CHECK(refused_with("GET / HTTP/1.1\r\n\r\n") == 400);
  CHECK(refused_with("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n") == 400);
  CHECK(refused_with("GET / HTTP/1.1\r\nHost: a\r\nbad field\r\n\r\n") == 400);
  CHECK(refused_with("POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n") == 417);
  CHECK(refused_with("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n") == 501);
  CHECK(refused_with("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
  CHECK(refused_with("POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
  CHECK(refused_with("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n") == 400);
  CHECK(refused_with("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n") == 400);
  CHECK(refused_with("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 257\r\n\r\n") == 413);
  CHECK(refused_with("\x16\x03\x01\x02") == 400);  // a TLS client on the HTTP port
}

TEST_CASE("request reader: a malformed Host is refused, and an absolute target has the Host that counts") {
  for (const std::string host :
       {"[x",  "[::1", "[]",      "[::1]x", "[::1]:", "a..b", "..",  ".",   ".a",        "a b",
        "a@b", "a:b",  "a:70000", "a:1:2",  "::1",    "%61",  "a/b", "a,b", "[1.2.3.4]", "[fe80::1%25lo]"}) {
    CAPTURE(host);
    CHECK(refused_with("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n") == (host == "[::1]:" ? 0 : 400));
  }
  CHECK(refused_with("GET / HTTP/1.1\r\nHost: " + std::string(64, 'a') + "\r\n\r\n") == 400);
  CHECK(refused_with("GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n") == 400);
  RequestReader reader(header, body);
  REQUIRE(reader.read("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n") == State::complete);
  CHECK(reader.take_request().request.host == "evil.example");
}

TEST_CASE("request reader: fields that say who asks") {
  const auto take = [](const std::string& fields, const char* version = "1.1") {
    RequestReader reader(header, body);
    REQUIRE(reader.read("GET / HTTP/" + std::string(version) + "\r\nHost: h\r\n" + fields + "\r\n") == State::complete);
    return reader.take_request().request;
  };
  for (const std::string field :
       {"Forwarded", "X-Forwarded-For", "x-forwarded-proto", "X-Real-IP", "VIA", "X-Client-IP"})
    CHECK(take(field + ":\r\n").forwarded == field);
  CHECK(take("X-Forwarded: a\r\nX-Viaduct: b\r\n").forwarded.empty());
  const auto request = take("origin: http://a\r\nSEC-FETCH-SITE: cross-site\r\nContent-Type: a/b\r\nOrigin: b\r\n");
  CHECK(request.origin == "http://a, b");
  CHECK(request.fetch_site == "cross-site");
  CHECK(request.content_type == "a/b");
  CHECK_FALSE(request.http_1_0);
  CHECK(take("", "1.0").http_1_0);
}

TEST_CASE("request reader: a body that is too long is 413, also when it comes together with the header") {
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\n";
  const std::string text(5 * header, 'x');
  CHECK(refused_with(head + "Content-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text) == 413);
  CHECK(refused_with(head + "Transfer-Encoding: chunked\r\n\r\n1400\r\n" + text) == 413);
  CHECK(refused_with(head + "X: " + text + "\r\nContent-Length: 5120\r\n\r\n" + text) == 431);
}

TEST_CASE("request reader: the header limit holds for one field and for many, for any split") {
  std::string base = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
  auto of_size = [&](std::size_t size) { return base + std::string(size - base.size() - 4, 'a') + "\r\n\r\n"; };
  CHECK(refused_with(of_size(header + 1)) == 431);
  CHECK(refused_with(of_size(header)) == 0);

  std::string many = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 1000; ++i)
    many += "A: b\r\n";
  for (std::size_t step : {std::size_t{1}, std::size_t{6}, std::size_t{100}, many.size()}) {
    RequestReader reader(header, body);
    auto state = State::header;
    std::size_t at = 0;
    for (; at < many.size() && state == State::header; at += step)
      state = reader.read(std::string_view(many).substr(at, step));
    CHECK(state == State::refused);
    CHECK(reader.refusal().status == 431);
    CHECK(at <= header + step);
  }
}

TEST_CASE("request reader: a chunked body has limits too") {
  std::string base = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  CHECK(refused_with(base + "101\r\n") == 413);
  CHECK(refused_with(base + "ffffffffffffffff\r\n") == 413);
  CHECK(refused_with(base + "fffffffffffffffff\r\n") == 400);
  CHECK(refused_with(base + "zz\r\n") == 400);
  CHECK(refused_with(base + "1;" + std::string(header, 'e')) == 431);
  CHECK(refused_with(base + "0\r\nX: " + std::string(header, 'e')) == 431);
  std::string ones = base;
  for (std::size_t i = 0; i < body; ++i)
    ones += "1\r\nx\r\n";
  CHECK(refused_with(ones + "0\r\n\r\n") == 0);
  CHECK(refused_with(ones + "1\r\nx\r\n") == 413);
}

TEST_CASE("request reader: random bytes neither crash it nor exceed its limits") {
  std::mt19937 random(42);
  const std::string seeds[] = {get, post, chunked};
  for (int round = 0; round < 5000; ++round) {
    std::string text = seeds[random() % 3] + seeds[random() % 3];
    for (auto n = random() % 8; n > 0; --n) {
      auto at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, random() % 10);
          break;
        case 2:
          text.insert(at, text.substr(random() % text.size(), random() % 30));
          break;
        default:
          text[at] = "\r\n:;0 %,"[random() % 8];
          break;
      }
      if (text.empty()) text = "x";
    }
    RequestReader reader(header, body);
    auto state = State::idle;
    for (std::size_t at = 0; at < text.size() && state != State::refused;) {
      auto step = 1 + random() % 50;
      state = reader.read(std::string_view(text).substr(at, step));
      at += step;
      while (state == State::complete) {
        auto taken = reader.take_request();
        CHECK(taken.request.body.size() <= body);
        CHECK(taken.request.path.starts_with('/'));
        state = reader.read({});
      }
    }
    if (state == State::refused) CHECK(reader.refusal().status >= 400);
  }
}
