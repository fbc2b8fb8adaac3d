// The HTTP client against servers in this process: the daemon's own, one with TLS, and hostile ones.
#include <poll.h>

#include "tests/unit/daemon/http/outgoing.hpp"
#include "tests/unit/daemon/http/test_client.hpp"

using namespace perjoule;
using namespace perjoule::http::outgoing;
using namespace std::chrono_literals;

TEST_CASE("client: GET and POST to the daemon's own server") {
  const http::test::Site site;
  const std::string base = "http://127.0.0.1:" + std::to_string(http::test::port_of(site.server));
  Caller caller;
  const Result<http::Answer> hello = caller(get(base));
  REQUIRE(hello.has_value());
  CHECK(hello->status == 200);
  CHECK(hello->body == "hello");
  CHECK(hello->content_type == "text/plain; charset=utf-8");
  http::Call call = get(base + "/path?a=b");
  call.method = "POST";
  call.body = std::string(60'000, 'x');
  call.headers = {{"Content-Type", "application/json"}};
  const Result<http::Answer> posted = caller(call);
  REQUIRE(posted.has_value());
  CHECK(posted->body == "POST /path a=b loopback [" + call.body + "]");
  CHECK(caller(get(base + "/throw"))->status == 500);
  CHECK(caller(get(base + "/empty"))->status == 204);
  const Result<http::Answer> big = caller(get(base + "/big"));
  REQUIRE(big.has_error());
  CHECK(big.error().what.find("the response body is longer than 1048576 bytes") != std::string::npos);
}

TEST_CASE("client: a name is looked up on a lane, and an unknown name is an error") {
  const http::test::Site site;
  Caller caller;
  const Result<http::Answer> hello =
      caller(get("http://localhost:" + std::to_string(http::test::port_of(site.server)) + "/"));
  REQUIRE_MESSAGE(hello.has_value(), hello.error().what);
  CHECK(hello->body == "hello");
  const Result<http::Answer> none = caller(get("http://no-such-host.invalid/", 5s));
  REQUIRE(none.has_error());
  CHECK(none.error().what.find("no-such-host.invalid") != std::string::npos);
  CHECK(caller.lanes.drain(5s));
}

TEST_CASE("client: calls whose lookup hangs end at the deadline, and the number of lookups is limited") {
  struct Hung : Lane {
    bool busy() const override { return true; }
    bool start(std::function<void()> work, std::function<void()>) override {
      kept->push_back(std::move(work));
      return true;
    }
    std::vector<std::function<void()>>* kept = nullptr;
  };
  std::vector<std::function<void()>> kept;
  Caller caller({}, [&kept]() -> std::unique_ptr<Lane> {
    auto lane = std::make_unique<Hung>();
    lane->kept = &kept;
    return lane;
  });
  std::optional<Result<http::Answer>> answers[20];
  for (std::size_t i = 0; i < std::size(answers); ++i)
    caller.start(get("http://hangs" + std::to_string(i / 2) + "/", 50ms), answers[i]);
  caller.loop.run();
  for (auto& answer : answers) {
    REQUIRE(answer.has_value());
    CHECK(answer->error().fault == Fault::timeout);
    CHECK(answer->error().what.find("looking up hangs") == 0);
  }
  CHECK(kept.size() == 8);  // two calls for one name share a lookup
  CHECK(caller.client->counts().waited_lookups >= 2);
  const http::test::Site site;  // an address needs no lookup
  CHECK(caller(get("http://127.0.0.1:" + std::to_string(http::test::port_of(site.server)) + "/"))->status == 200);
}

TEST_CASE("client: with an invalid URL or header nothing is sent") {
  Caller caller;
  CHECK(caller(get("ftp://x/")).error().fault == Fault::broken);
  for (const auto& [name, value] : {std::pair<std::string, std::string>{"X", "a\r\nY: b"}, {"X: y", "a"}, {"", "a"}}) {
    http::Call call = get("http://127.0.0.1:1/");
    call.headers = {{name, value}};
    CHECK(caller(call).error().fault == Fault::broken);
  }
}

TEST_CASE("client: no server listens") {
  std::string url;
  {
    url = Hostile([](tcp::socket&) {}).url();
  }
  const Result<http::Answer> answer = Caller()(get(url));
  REQUIRE(answer.has_error());
  CHECK(answer.error().fault == Fault::transient);
  CHECK(answer.error().what.find("Connection refused") != std::string::npos);
}

TEST_CASE("client: hostile servers lead to an error, in time and within the size limits") {
  const auto bytes = [](std::string text) {
    return [text](tcp::socket& socket) {
      read_head(socket);
      say(socket, text);
    };
  };
  const auto endless = [](std::string head, std::string piece) {
    return [head, piece](tcp::socket& socket) {
      read_head(socket);
      error_code error;
      asio::write(socket, asio::buffer(head), error);
      while (!error)
        asio::write(socket, asio::buffer(piece), error);
    };
  };
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::function<void(tcp::socket&)> servers[] = {
      [](tcp::socket&) {},  // closes at once, with the request unread
      bytes(""),
      bytes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
      bytes("\x16\x03\x01 garbage\r\n\r\n"),
      endless("HTTP/1.1 200 OK\r\n", "X: y\r\n"),
      endless("HTTP/1.1 200 OK\r\n\r\n", std::string(1000, 'x')),
      endless(chunked, "1\r\nx\r\n"),
      endless(chunked + "1;", "extension"),
      endless("", "HTTP/1.1 100 Continue\r\n\r\n"),
      endless("", std::string(1000, '\0')),
  };
  for (const auto& serve : servers) {
    const Hostile server(serve);
    http::Call call = get(server.url(), 20s);
    call.body_bytes = 50'000;
    const auto begin = std::chrono::steady_clock::now();
    const Result<http::Answer> answer = Caller()(call);
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
    REQUIRE(answer.has_error());
    CHECK(answer.error().fault == Fault::transient);
  }
}

TEST_CASE("client: a call to a server that sends nothing, or single bytes slowly, ends at the deadline") {
  const std::function<void(tcp::socket&)> servers[] = {
      [](tcp::socket& socket) {
        read_head(socket);
        char byte = 0;
        error_code ignored;
        socket.read_some(asio::buffer(&byte, 1), ignored);  // until the client closes
      },
      [](tcp::socket& socket) {
        say(socket, "HTTP/1.1 200 OK\r\n\r\n");
        error_code error;
        pollfd hung_up{socket.native_handle(), POLLRDHUP, 0};
        while (!error && poll(&hung_up, 1, 5) == 0)
          asio::write(socket, asio::buffer("x", 1), error);
      },
  };
  for (const auto& serve : servers) {
    const Hostile server(serve);
    const auto begin = std::chrono::steady_clock::now();
    const Result<http::Answer> answer = Caller()(get(server.url(), 200ms));
    CHECK(std::chrono::steady_clock::now() - begin >= 200ms);
    REQUIRE(answer.has_error());
    CHECK(answer.error().fault == Fault::timeout);
  }
}

TEST_CASE("client: a response that comes before the server has read the body counts") {
  const Hostile server([](tcp::socket& socket) {
    read_head(socket);
    say(socket, "HTTP/1.1 413 Too much\r\nContent-Length: 0\r\n\r\n");
    socket.shutdown(tcp::socket::shutdown_send);
    std::string rest(1 << 16, '\0');
    error_code error;
    while (!error)
      socket.read_some(asio::buffer(rest), error);
  });
  http::Call call = get(server.url());
  call.method = "POST";
  call.body = std::string(8 << 20, 'x');
  const Result<http::Answer> answer = Caller()(call);
  REQUIRE_MESSAGE(answer.has_value(), answer.error().what);
  CHECK(answer->status == 413);
}

TEST_CASE("client: calls in flight end when they are cancelled or the client is destroyed") {
  for (const bool destroy : {false, true}) {
    const Hostile server([](tcp::socket& socket) {
      char byte = 0;
      error_code error;
      while (!error)
        socket.read_some(asio::buffer(&byte, 1), error);
    });
    Caller caller;
    std::optional<Result<http::Answer>> answer;
    caller.start(get(server.url(), 60s), answer);
    caller.loop.run_for(50ms);
    CHECK(!answer.has_value());
    if (destroy) {
      caller.client.reset();
    } else {
      caller.client->cancel();
    }
    caller.loop.restart();
    caller.loop.run();
    REQUIRE(answer.has_value());
    CHECK(answer->error().what == "cancelled");
  }
}
