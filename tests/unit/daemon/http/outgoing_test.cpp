// The HTTP client against servers in this process: the daemon's own, one with TLS, and hostile ones.
#include <doctest/doctest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "daemon/http/client.hpp"
#include "tests/unit/daemon/http/test_client.hpp"

using namespace perjoule;
using namespace std::chrono_literals;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

// Runs one call to its end on its own loop.
struct Caller {
  asio::io_context loop{1};
  LaneThreads lanes{loop};
  std::unique_ptr<http::Client> client;

  explicit Caller(std::string authorities = {}, MakeLane make_lane = {}) {
    if (!make_lane) make_lane = [this] { return lanes.make(); };
    client = std::make_unique<http::Client>(loop, http::ClientOptions{make_lane, "tests/1", std::move(authorities)});
  }
  void start(http::Call call, std::optional<Result<http::Answer>>& answer) {
    asio::co_spawn(loop, client->fetch(std::move(call)),
                   [&answer](const std::exception_ptr& failure, Result<http::Answer> got) {
                     CHECK(!failure);
                     answer = std::move(got);
                   });
  }
  Result<http::Answer> operator()(http::Call call) {
    std::optional<Result<http::Answer>> answer;
    start(std::move(call), answer);
    loop.restart();
    loop.run();
    REQUIRE(answer.has_value());
    return *answer;
  }
};

http::Call get(std::string url, std::chrono::milliseconds deadline = 10s) {
  http::Call call;
  call.url = std::move(url);
  call.deadline = deadline;
  return call;
}

// Serves connections one after another on its own thread, with `serve`.
class Hostile {
 public:
  explicit Hostile(std::function<void(tcp::socket&)> serve)
      : acceptor_(loop_, {asio::ip::address_v4::loopback(), 0}), serve_(std::move(serve)) {
    thread_ = std::thread([this] {
      for (;;) {
        error_code error;
        tcp::socket socket(loop_);
        acceptor_.accept(socket, error);
        if (error || ended_) return;
        serve_(socket);
      }
    });
  }
  ~Hostile() {
    ended_ = true;
    error_code ignored;
    tcp::socket last(loop_);
    last.connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
  }
  Hostile(const Hostile&) = delete;
  Hostile& operator=(const Hostile&) = delete;
  [[nodiscard]] std::string url(const std::string& scheme = "http") const {
    return scheme + "://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()) + "/x";
  }

 private:
  asio::io_context loop_;
  tcp::acceptor acceptor_;
  std::function<void(tcp::socket&)> serve_;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

std::string read_head(tcp::socket& socket) {
  std::string text;
  error_code ignored;
  asio::read_until(socket, asio::dynamic_buffer(text), "\r\n\r\n", ignored);
  return text;
}

void say(tcp::socket& socket, const std::string& text) {
  error_code ignored;
  asio::write(socket, asio::buffer(text), ignored);
}

// A key and a self-signed certificate for 127.0.0.1.
struct Identity {
  std::string key;
  std::string certificate;
  Identity() {
    EVP_PKEY* pair = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
    X509* x509 = X509_new();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, pair);
    X509_NAME* name = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(x509, name);
    X509_EXTENSION* names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(x509, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(x509, pair, EVP_sha256());
    key = text([&](BIO* bio) { PEM_write_bio_PrivateKey(bio, pair, nullptr, nullptr, 0, nullptr, nullptr); });
    certificate = text([&](BIO* bio) { PEM_write_bio_X509(bio, x509); });
    X509_free(x509);
    EVP_PKEY_free(pair);
  }
  template <class Write>
  static std::string text(Write write) {
    BIO* bio = BIO_new(BIO_s_mem());
    write(bio);
    std::string out(BIO_ctrl_pending(bio), '\0');
    BIO_read(bio, out.data(), static_cast<int>(out.size()));
    BIO_free(bio);
    return out;
  }
};

void serve_tls(const Identity& identity, tcp::socket& socket) {
  asio::ssl::context context(asio::ssl::context::tls_server);
  context.use_private_key(asio::buffer(identity.key), asio::ssl::context::pem);
  context.use_certificate_chain(asio::buffer(identity.certificate));
  asio::ssl::stream<tcp::socket&> stream(socket, context);
  error_code error;
  stream.handshake(asio::ssl::stream_base::server, error);
  if (error) return;
  std::string text;
  asio::read_until(stream, asio::dynamic_buffer(text), "\r\n\r\n", error);
  asio::write(stream, asio::buffer(std::string("HTTP/1.1 200 OK\r\n\r\nover TLS")), error);
  stream.shutdown(error);
}

}  // namespace

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
  Caller caller({}, [&kept] {
    auto lane = std::make_unique<Hung>();
    lane->kept = &kept;
    return lane;
  });
  std::optional<Result<http::Answer>> answers[10];
  for (auto& answer : answers)
    caller.start(get("http://hangs/", 50ms), answer);
  caller.loop.run();
  int timeouts = 0;
  for (auto& answer : answers) {
    REQUIRE(answer.has_value());
    timeouts += answer->error().fault == Fault::timeout ? 1 : 0;
  }
  CHECK(timeouts == 8);
  CHECK(kept.size() == 8);
  kept.clear();  // they return
  CHECK(caller(get("http://hangs/", 50ms)).error().fault == Fault::timeout);
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

TEST_CASE("client: TLS only to a server whose authority is trusted") {
  const Identity identity;
  const Hostile server([&identity](tcp::socket& socket) { serve_tls(identity, socket); });
  Caller trusting(identity.certificate);
  const Result<http::Answer> answer = trusting(get(server.url("https")));
  REQUIRE_MESSAGE(answer.has_value(), answer.error().what);
  CHECK(answer->body == "over TLS");

  const Result<http::Answer> stranger = Caller()(get(server.url("https")));
  REQUIRE(stranger.has_error());
  CHECK(stranger.error().fault == Fault::broken);
  CHECK(stranger.error().what.find("self-signed certificate") != std::string::npos);

  std::string by_name = server.url("https");
  by_name.replace(by_name.find("127.0.0.1"), 9, "localhost");
  const Result<http::Answer> other_name = trusting(get(by_name));
  REQUIRE(other_name.has_error());
  CHECK(other_name.error().fault == Fault::broken);
}

TEST_CASE("client: TLS to a server without TLS, and a body that is cut without close_notify") {
  const http::test::Site site;
  const Result<http::Answer> none =
      Caller()(get("https://127.0.0.1:" + std::to_string(http::test::port_of(site.server)) + "/"));
  REQUIRE(none.has_error());
  CHECK(none.error().fault == Fault::transient);

  const Identity identity;
  const Hostile server([&identity](tcp::socket& socket) {
    asio::ssl::context context(asio::ssl::context::tls_server);
    context.use_private_key(asio::buffer(identity.key), asio::ssl::context::pem);
    context.use_certificate_chain(asio::buffer(identity.certificate));
    asio::ssl::stream<tcp::socket&> stream(socket, context);
    error_code error;
    stream.handshake(asio::ssl::stream_base::server, error);
    asio::write(stream, asio::buffer(std::string("HTTP/1.1 200 OK\r\n\r\nhalf of it")), error);
    socket.shutdown(tcp::socket::shutdown_send, error);  // as an attacker in between could
    char byte = 0;
    socket.read_some(asio::buffer(&byte, 1), error);
  });
  const Result<http::Answer> cut = Caller(identity.certificate)(get(server.url("https")));
  REQUIRE(cut.has_error());
  CHECK(cut.error().fault == Fault::transient);
}
