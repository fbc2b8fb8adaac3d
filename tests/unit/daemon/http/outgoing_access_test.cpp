// The HTTP client's credentials, headers and proxies; and that no error or excerpt repeats a secret.
#include "daemon/http/excerpt.hpp"
#include "tests/unit/daemon/http/outgoing.hpp"

using namespace perjoule;
using namespace perjoule::http::outgoing;
using namespace std::chrono_literals;

namespace {

// A server that keeps what it was sent and answers with it.
struct Echo {
  std::string status = "200 OK";
  std::string head;
  Hostile server{[this](tcp::socket& socket) {
    head = read_head(socket);
    say(socket, "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(head.size()) + "\r\n\r\n" + head);
  }};
  [[nodiscard]] bool got(std::string_view line) const {
    return head.find("\r\n" + std::string(line) + "\r\n") != std::string::npos;
  }
};

// Passes bytes both ways until one side closes.
void relay(tcp::socket& left, tcp::socket& right) {
  const auto copy = [](tcp::socket& from, tcp::socket& to) {
    std::array<char, 4096> bytes{};
    error_code error;
    while (!error) {
      const std::size_t size = from.read_some(asio::buffer(bytes), error);
      if (!error) asio::write(to, asio::buffer(bytes.data(), size), error);
    }
    error_code ignored;
    to.shutdown(tcp::socket::shutdown_both, ignored);
    from.shutdown(tcp::socket::shutdown_both, ignored);
  };
  std::thread back([&] { copy(right, left); });
  copy(left, right);
  back.join();
}

}  // namespace

TEST_CASE("client: basic and bearer credentials from files, read again when they change; further headers") {
  const Files files;
  Echo echo;
  Caller caller;
  http::Call call = get(echo.server.url());
  call.access.headers = {{"X-Scope-OrgID", "gpu"}};
  CHECK(caller(call).has_value());
  CHECK(echo.got("X-Scope-OrgID: gpu"));
  CHECK(echo.head.find("Authorization") == std::string::npos);

  call.access.basic_auth = config::BasicAuth{"Aladdin", files.write("password", "open sesame\n")};
  CHECK(caller(call).has_value());
  CHECK(echo.got("Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));  // the example of RFC 7617
  files.write("password", " other \r\n");
  CHECK(caller(call).has_value());
  CHECK(echo.got("Authorization: Basic QWxhZGRpbjpvdGhlcg=="));

  call.access.basic_auth.reset();
  call.access.authorization = config::Authorization{"Bearer", files.write("token", "t0ken\n")};
  CHECK(caller(call).has_value());
  CHECK(echo.got("Authorization: Bearer t0ken"));
}

TEST_CASE("client: a file is not looked at again within the time configured") {
  const Files files;
  Echo echo;
  Caller caller({}, {}, 1h);
  http::Call call = get(echo.server.url());
  call.access.authorization = config::Authorization{"Bearer", files.write("token", "one")};
  CHECK(caller(call).has_value());
  files.write("token", "second");
  CHECK(caller(call).has_value());
  CHECK(echo.got("Authorization: Bearer one"));
}

TEST_CASE("client: a file without a usable secret is an error that names it and what to do") {
  const Files files;
  const struct {
    std::string path;
    Fault fault;
    const char* what;
  } cases[] = {{files.path("none"), Fault::absent, "No such file or directory"},
               {files.write("empty", ""), Fault::broken, "empty: empty"},
               {files.write("blank", " \n"), Fault::broken, "blank: empty"},
               {files.write("two", "planted\nplanted"), Fault::broken, "two: more than one line"},
               {files.write("nul", std::string_view("planted\0", 8)), Fault::broken, "nul: more than one line"},
               {files.write("long", std::string((64 << 10) + 1, 's')), Fault::broken, "long: longer than 65536 bytes"},
               {"/dev/null", Fault::broken, "/dev/null: not a regular file"}};
  Caller caller;
  for (const auto& each : cases) {
    CAPTURE(each.path);
    http::Call call = get("http://127.0.0.1:1/");
    call.access.authorization = config::Authorization{"Bearer", each.path};
    const Result<http::Answer> answer = caller(call);
    REQUIRE(answer.has_error());
    CHECK(answer.error().fault == each.fault);
    CHECK_MESSAGE(answer.error().what.find(each.what) != std::string::npos, answer.error().what);
    CHECK((answer.error().what + answer.error().remedy).find("planted") == std::string::npos);
  }
  CHECK(caller.client->counts().long_files == 1);
  CHECK(caller.client->counts().connected == 0);
}

TEST_CASE("client: prepare reads the files of a server before it is asked") {
  const Files files;
  Caller caller({}, {}, 1h);
  config::HttpAccess access;
  access.authorization = config::Authorization{"Bearer", files.path("token")};
  const auto prepare = [&](const std::string& url) {
    std::optional<std::string> done;
    const auto keep = [&done](const std::exception_ptr&, const Result<void>& got) {
      done = got ? "" : std::string(name(got.error().fault));
    };
    asio::co_spawn(caller.loop, caller.client->prepare(url, access), keep);
    CHECK(caller.until([&] { return done.has_value(); }));
    return done.value_or("no end");
  };
  CHECK(prepare("http://a/") == "absent");
  access.authorization->credentials_file = files.write("other", "t");
  CHECK(prepare("http://a/").empty());
  CHECK(prepare("https://a/").empty());  // the authorities of this host
  CHECK(prepare("nothing") == "broken");
}

TEST_CASE("client: a request for http goes through a proxy in absolute form") {
  Echo proxy;
  http::Call call = get("http://am.invalid:9093/api?x=y");
  call.access.proxy = "http://127.0.0.1:" + proxy.server.port();
  REQUIRE(Caller()(call).has_value());
  CHECK(proxy.head.starts_with("GET http://am.invalid:9093/api?x=y HTTP/1.1\r\nHost: am.invalid:9093\r\n"));
}

TEST_CASE("client: https goes through a proxy with CONNECT, is encrypted to the server, and its tunnel is kept") {
  const Files files;
  const Identity identity;
  const Hostile server([&](tcp::socket& socket) {
    serve_tls(identity, socket, nullptr, [](TlsStream& stream) {
      while (!read_head(stream).empty())
        say(stream, ok("secret"));
    });
  });
  std::string connect;
  const Hostile proxy([&](tcp::socket& socket) {
    connect = read_head(socket);
    asio::io_context loop;
    tcp::socket other(loop);
    other.connect({asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(std::stoi(server.port()))});
    say(socket, "HTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n");  // a length means nothing here
    relay(socket, other);
  });
  Caller caller;
  http::Call call = get(server.url("https"));
  call.access.proxy = "http://127.0.0.1:" + proxy.port();
  call.access.tls.ca_file = files.write("ca.pem", identity.certificate);
  call.access.authorization = config::Authorization{"Bearer", files.write("token", "t0ken")};
  for (int i = 0; i < 3; ++i) {
    const Result<http::Answer> answer = caller(call);
    REQUIRE_MESSAGE(answer.has_value(), answer.error().what);
    CHECK(answer->body == "secret");
  }
  CHECK(proxy.accepted == 1);
  CHECK(connect.starts_with("CONNECT 127.0.0.1:" + server.port() + " HTTP/1.1\r\nHost: 127.0.0.1:" + server.port()));
  CHECK(connect.find("t0ken") == std::string::npos);
  caller.client->cancel();
}

TEST_CASE("client: a proxy that refuses, is not there, or speaks first is an error that names it") {
  const struct {
    const char* response;
    const char* expected;
  } cases[] = {{"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 6\r\n\r\nsecret", "HTTP status 407"},
               {"HTTP/1.1 200 OK\r\n\r\nSSH-2.0-secret", "bytes after the response"},
               {"", "closed the connection before its response"}};
  for (const auto& each : cases) {
    const Hostile proxy([&](tcp::socket& socket) {
      read_head(socket);
      say(socket, each.response);
    });
    http::Call call = get("https://am.invalid/");
    call.access.proxy = "http://127.0.0.1:" + proxy.port();
    const Result<http::Answer> answer = Caller()(call);
    REQUIRE(answer.has_error());
    CHECK(answer.error().what.find("proxy 127.0.0.1:" + proxy.port() + ": CONNECT am.invalid:443: ") == 0);
    CHECK_MESSAGE(answer.error().what.find(each.expected) != std::string::npos, answer.error().what);
    CHECK(answer.error().what.find("secret") == std::string::npos);
  }
  http::Call call = get("http://am.invalid/");
  call.access.proxy = "http://127.0.0.1:1";
  CHECK(Caller()(call).error().what == "connecting to proxy 127.0.0.1:1: Connection refused");
}

TEST_CASE("client: a server that repeats what it was sent puts no secret into the excerpt") {
  const Files files;
  for (const bool basic : {false, true}) {
    Echo echo;
    echo.status = "403 Forbidden";
    http::Call call = get(echo.server.url() + "/T01/planted-path-token?key=planted-query&planted-flag");
    const std::string file = files.write("secret", "planted-file");
    if (basic) call.access.basic_auth = config::BasicAuth{"user", file};
    if (!basic) call.access.authorization = config::Authorization{"Bearer", file};
    call.access.headers = {{"X-Key", "planted-header"}};
    const Result<http::Answer> answer = Caller()(call);
    REQUIRE(answer.has_value());
    CHECK(answer->status == 403);
    CHECK(answer->body.find("planted-header") != std::string::npos);
    CHECK(answer->excerpt.find("planted") == std::string::npos);
    CHECK(answer->excerpt.find("dXNlcjpwbGFudGVk") == std::string::npos);
    CHECK(answer->excerpt.starts_with("GET /x/T01/***?key=***&*** HTTP/1.1\r\n"));
    CHECK(answer->excerpt.size() <= http::excerpt_bytes_max + 3);
  }
  http::Answer answer;
  answer.body = std::string(190, 'x') + "a-secret-of-32-bytes-at-the-edge" + "y";
  CHECK(http::excerpt(answer, get("http://a/"),
                      {"Bearer a-secret-of-32-bytes-at-the-edge", "a-secret-of-32-bytes-at-the-edge"}) ==
        std::string(190, 'x') + "***y");
}

TEST_CASE("base64") {
  const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"},
                                                       {"\xFF\xFE", "//4="}};
  for (const auto& [bytes, text] : cases)
    CHECK(http::base64(bytes) == text);
}
