#include "daemon/http/response_reader.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>

using namespace perjoule::http;
using State = ResponseReader::State;

namespace {

constexpr std::size_t head_bytes = 1024;
constexpr std::size_t body_bytes = 4096;

struct Seen {
  State state = State::incomplete;
  Answer answer;
  std::string why;
};

// Reads the response in pieces of `step` bytes; then the server closes.
Seen feed(std::string_view text, std::size_t step = 1 << 20) {
  ResponseReader reader(head_bytes, body_bytes);
  Seen seen;
  while (seen.state == State::incomplete && !text.empty()) {
    seen.state = reader.read(text.substr(0, step));
    text.remove_prefix(std::min(step, text.size()));
  }
  if (seen.state == State::incomplete) seen.state = reader.finish();
  if (seen.state == State::complete) seen.answer = reader.take_response();
  if (seen.state == State::refused) seen.why = reader.why();
  return seen;
}

std::string chunk(const std::string& data) {
  char size[32];
  std::snprintf(size, sizeof size, "%zx\r\n", data.size());
  return size + data + "\r\n";
}

const std::string chunked_head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

}  // namespace

TEST_CASE("a response ends by its length, its last chunk or the end of the connection, for any split") {
  const struct {
    std::string text;
    unsigned status;
    std::string body;
  } cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello", 200, "hello"},
      {"HTTP/1.0 500 Oh\r\nContent-Type: text/plain\r\n\r\nhello", 500, "hello"},
      {"HTTP/1.1 204 No Content\r\nContent-Type: text/plain\r\n\r\n", 204, ""},
      {"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("hel") +
           chunk("lo") + "0\r\nTrailer: x\r\n\r\n",
       200, "hello"},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
       "HTTP/1.1 404 No\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno, and more",
       404, "no"},
  };
  for (const auto& [text, status, body] : cases) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{3}, std::size_t{100'000}}) {
      const Seen seen = feed(text, step);
      CAPTURE(seen.why);
      REQUIRE(seen.state == State::complete);
      CHECK(seen.answer.status == status);
      CHECK(seen.answer.body == body);
      CHECK(seen.answer.content_type == "text/plain");
    }
  }
}

TEST_CASE("a response that is cut short, too long or not HTTP is refused") {
  std::string many_fields = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 100; ++i)
    many_fields += "X-" + std::to_string(i) + ": some more text\r\n";
  std::string extensions = chunked_head + "1;" + std::string(2 * head_bytes, 'x');
  std::string interim;
  for (int i = 0; i < 20; ++i)
    interim += "HTTP/1.1 100 Continue\r\n\r\n";
  const std::string cases[] = {
      "",
      "HTTP/1.1 200",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
      chunked_head + "5\r\nhel",
      chunked_head + chunk("hello"),
      chunked_head + "zz\r\n",
      chunked_head + "fffffffffffffffff\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 4097\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      "HTTP/1.1 200 OK\r\n\r\n" + std::string(body_bytes + 1, 'x'),
      chunked_head + chunk(std::string(3000, 'x')) + chunk(std::string(3000, 'x')) + "0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: " + std::string(head_bytes, 'x') + "\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
      "HTTP/1.1 101 Switching Protocols\r\n\r\n",
      "HTTP/2 200\r\n\r\n",
      "SSH-2.0-OpenSSH_9.2\r\n",
      std::string("\x15\x03\x01\x00\x02\x02\x16", 7),
      std::string(100'000, '\0'),
      std::string(100'000, '\n'),
      many_fields + "\r\n",
      extensions,
      interim,
  };
  for (const std::string& text : cases) {
    for (const std::size_t step : {std::size_t{7}, std::size_t{100'000}}) {
      const Seen seen = feed(text, step);
      CHECK_MESSAGE(seen.state == State::refused, text.substr(0, 60));
      CHECK(!seen.why.empty());
    }
  }
}

TEST_CASE("mutated responses give a response within the limits or a refusal") {
  const std::string good = chunked_head + chunk("hello") + chunk(std::string(40, 'y')) + "0\r\n\r\n";
  std::mt19937 random(11);
  int complete = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string text = good;
    for (std::size_t n = random() % 4; n > 0; --n)
      text[random() % text.size()] = static_cast<char>(random());
    if (random() % 4 == 0) text.resize(random() % text.size());
    const Seen seen = feed(text, 1 + random() % 64);
    REQUIRE(seen.state != State::incomplete);
    if (seen.state == State::complete) {
      ++complete;
      CHECK(seen.answer.body.size() <= body_bytes);
    }
  }
  CHECK(complete > 1000);
}

TEST_CASE("a response says whether its connection can carry another request, and which limit it exceeded") {
  const struct {
    const char* text;
    bool reusable;
  } cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP", false},
      {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false},
      {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
      {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", true},
      {"HTTP/1.1 204 No Content\r\n\r\n", true},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
  };
  for (const auto& each : cases) {
    CAPTURE(each.text);
    ResponseReader reader(head_bytes, body_bytes);
    CHECK(!reader.started());
    REQUIRE(reader.read(each.text) == State::complete);
    CHECK(reader.started());
    CHECK(reader.reusable() == each.reusable);
    CHECK(reader.limit() == ResponseReader::Limit::none);
  }
  ResponseReader without_length(head_bytes, body_bytes);
  CHECK(without_length.read("HTTP/1.1 200 OK\r\n\r\nbody") == State::incomplete);
  CHECK(without_length.finish() == State::complete);
  CHECK(!without_length.reusable());
  ResponseReader long_head(head_bytes, body_bytes);
  CHECK(long_head.read("HTTP/1.1 200 OK\r\nX: " + std::string(head_bytes, 'x')) == State::refused);
  CHECK(long_head.limit() == ResponseReader::Limit::head);
  ResponseReader long_body(head_bytes, body_bytes);
  CHECK(long_body.read("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n") == State::refused);
  CHECK(long_body.limit() == ResponseReader::Limit::body);
}

TEST_CASE("the response to a CONNECT ends with its header, whatever length it declares") {
  for (const char* head : {"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
                           "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    ResponseReader reader(head_bytes, 0, ResponseReader::Kind::connect);
    CHECK(reader.read(head) == State::complete);
    CHECK(!reader.surplus());
    CHECK(!reader.reusable());
    CHECK(reader.take_response().status == 200);
    ResponseReader more(head_bytes, 0, ResponseReader::Kind::connect);
    CHECK(more.read(std::string(head) + "x") == State::complete);
    CHECK(more.surplus());
  }
}

TEST_CASE("Retry-After and Date of a response") {
  const Seen seen = feed("HTTP/1.1 503 No\r\nRetry-After: 120\r\nDate: now\r\nContent-Length: 0\r\n\r\n");
  CHECK(seen.answer.retry_after == "120");
  CHECK(seen.answer.date == "now");
}
