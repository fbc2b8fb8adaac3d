// The HTTP client over TLS: whom it trusts, which names it accepts, the certificate it presents, files that change.
#include "tests/unit/daemon/http/outgoing.hpp"
#include "tests/unit/daemon/http/test_client.hpp"

using namespace perjoule;
using namespace perjoule::http::outgoing;
using namespace std::chrono_literals;

namespace {

http::Call secure(std::string url, const std::string& ca_file, std::string server_name = {}) {
  http::Call call = get(std::move(url));
  call.access.tls.ca_file = ca_file;
  call.access.tls.server_name = std::move(server_name);
  return call;
}

}  // namespace

TEST_CASE("client: TLS only to a server whose authority is trusted") {
  const Files files;
  const Identity identity;
  const std::string ca = files.write("ca.pem", identity.certificate);
  const Hostile server([&](tcp::socket& socket) { serve_tls(identity, socket, nullptr, serve_once); });
  const Result<http::Answer> answer = Caller()(secure(server.url("https"), ca));
  REQUIRE_MESSAGE(answer.has_value(), answer.error().what);
  CHECK(answer->body == "over TLS");

  const Result<http::Answer> stranger = Caller()(get(server.url("https")));
  REQUIRE(stranger.has_error());
  CHECK(stranger.error().fault == Fault::broken);
  CHECK(stranger.error().what == "TLS with 127.0.0.1:" + server.port() + ": self-signed certificate");
  CHECK(stranger.error().remedy.find("tls.ca_file") != std::string::npos);
}

TEST_CASE("client: a certificate for another name is refused, and the error says for which it is") {
  const Files files;
  const struct {
    const char* names;
    const char* common_name;
    const char* asked;
    const char* expected;  // "": accepted
  } cases[] = {
      {"DNS:am.example", "x", "am.example", ""},
      {"DNS:am.example", "x", "am.example.", ""},
      {"DNS:*.site.example", "x", "am.site.example", ""},
      {"IP:127.0.0.1", "x", "", ""},
      {"DNS:a,DNS:b,IP:10.0.0.1", "am.example", "am.example",
       "the certificate is not for am.example: it is for \"a\", \"b\", 10.0.0.1"},
      {"DNS:a.*.example", "x", "a.b.example", "the certificate is not for a.b.example: it is for \"a.*.example\""},
      {"DNS:f*.example", "x", "foo.example", "the certificate is not for foo.example: it is for \"f*.example\""},
      {"DNS:127.0.0.1", "127.0.0.1", "", "the certificate is not for 127.0.0.1: it is for \"127.0.0.1\""},
      // RFC 9525: the common name is not looked at, also where there is no subjectAltName.
      {"", "am.example", "am.example",
       "the certificate is not for am.example: it has no subjectAltName, and its common name does not count"},
      {"", "127.0.0.1", "",
       "the certificate is not for 127.0.0.1: it has no subjectAltName, and its common name does not count"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.names);
    const Identity identity(each.names, each.common_name);
    const Hostile server([&](tcp::socket& socket) { serve_tls(identity, socket, nullptr, serve_once); });
    const Result<http::Answer> answer =
        Caller()(secure(server.url("https"), files.write("ca.pem", identity.certificate), each.asked));
    if (*each.expected == '\0') {
      CHECK_MESSAGE(answer.has_value(), answer.error().what);
      continue;
    }
    REQUIRE(answer.has_error());
    CHECK(answer.error().fault == Fault::broken);
    CHECK(answer.error().what == "TLS with 127.0.0.1:" + server.port() + ": " + each.expected);
    CHECK(answer.error().remedy.find("server_name") != std::string::npos);
  }
}

TEST_CASE("client: a client certificate is presented") {
  const Files files;
  const Identity identity;
  const Identity mine("", "perjoule");
  const Identity other("", "other");
  const std::string ca = files.write("ca.pem", identity.certificate);
  const Hostile server([&](tcp::socket& socket) { serve_tls(identity, socket, &mine, serve_once); });
  http::Call call = secure(server.url("https"), ca);
  const Result<http::Answer> without = Caller()(call);
  REQUIRE(without.has_error());
  CHECK(without.error().what.find("certificate required") != std::string::npos);
  CHECK(without.error().remedy.find("tls.cert_file") != std::string::npos);
  call.access.tls.cert_file = files.write("cert.pem", mine.certificate);
  call.access.tls.key_file = files.write("key.pem", mine.key);
  Caller caller;
  const Result<http::Answer> with = caller(call);
  REQUIRE_MESSAGE(with.has_value(), with.error().what);
  CHECK(with->body == "over TLS");

  files.write("key.pem", other.key);
  const Result<http::Answer> mismatch = caller(call);
  REQUIRE(mismatch.has_error());
  CHECK(mismatch.error().fault == Fault::broken);
  CHECK(mismatch.error().what.find("key.pem: no private key for ") != std::string::npos);
  CHECK(mismatch.error().what.find("key values mismatch") != std::string::npos);
  files.write("key.pem", mine.key);
  CHECK(caller(call).has_value());
}

TEST_CASE("client: files that cannot be used are named, with what to do, and never with their content") {
  const Files files;
  const Identity identity;
  const std::string encrypted = Identity::text([](BIO* bio) {
    EVP_PKEY* pair = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
    PEM_write_bio_PKCS8PrivateKey(bio, pair, EVP_aes_128_cbc(), "secret", 6, nullptr, nullptr);
    EVP_PKEY_free(pair);
  });
  const std::string certificate = files.write("cert.pem", identity.certificate);
  const struct {
    config::ClientTls tls;
    Fault fault;
    std::string what;
  } cases[] = {
      {{files.path("none"), "", "", ""}, Fault::absent, "none: No such file or directory"},
      {{files.write("text", "no certificate: secret"), "", "", ""}, Fault::broken, "text: no certificate in it"},
      {{files.write("empty", ""), "", "", ""}, Fault::broken, "empty: empty"},
      {{"/dev", "", "", ""}, Fault::broken, "/dev: not a regular file"},
      {{files.write("long", std::string((4 << 20) + 1, 's')), "", "", ""}, Fault::broken, "long: longer than 4194304"},
      {{"", files.write("bad", "secret"), certificate, ""}, Fault::broken, "bad: not a certificate in PEM"},
      {{"", certificate, files.write("key", "secret"), ""}, Fault::broken, "key: no private key for "},
      {{"", certificate, files.write("encrypted", encrypted), ""}, Fault::broken, "encrypted: no private key for "},
  };
  for (const auto& each : cases) {
    CAPTURE(each.what);
    http::Call call = get("https://127.0.0.1:1/");
    call.access.tls = each.tls;
    const Result<http::Answer> answer = Caller()(call);
    REQUIRE(answer.has_error());
    CHECK(answer.error().fault == each.fault);
    CHECK_MESSAGE(answer.error().what.find(each.what) != std::string::npos, answer.error().what);
    CHECK((answer.error().what + answer.error().remedy).find("secret") == std::string::npos);
  }
}

TEST_CASE("client: a changed authority is in force for the next call, also where a connection is kept") {
  const Files files;
  const Identity first;
  const Identity second;
  const std::string ca = files.write("ca.pem", second.certificate);
  const Hostile server([&](tcp::socket& socket) {
    serve_tls(first, socket, nullptr, [](TlsStream& stream) {
      while (!read_head(stream).empty())
        say(stream, ok("kept"));
    });
  });
  Caller caller;
  CHECK(caller(secure(server.url("https"), ca)).error().what.find("self-signed certificate") != std::string::npos);
  files.write("ca.pem", first.certificate);
  CHECK(caller(secure(server.url("https"), ca)).has_value());
  CHECK(caller.client->counts().kept == 1);
  files.write("ca.pem", second.certificate);
  CHECK(caller.client->counts().kept == 1);
  std::optional<Result<http::Answer>> refused;
  caller.start(secure(server.url("https"), ca), refused);  // waits for the server, which serves one after another
  caller.until([&] { return caller.client->counts().connected == 3; });
  caller.client->cancel();
  CHECK(caller.until([&] { return refused.has_value(); }));
}

TEST_CASE("client: files on a disk that hangs delay neither the loop nor calls that had them before") {
  struct Hung : Lane {
    bool busy() const override { return true; }
    bool start(std::function<void()>, std::function<void()>) override { return true; }
  };
  const http::test::Site site;
  const Files files;
  bool hangs = true;
  LaneThreads* lanes = nullptr;
  Caller caller({}, [&]() -> std::unique_ptr<Lane> {
    if (hangs) return std::make_unique<Hung>();
    return lanes->make();
  });
  lanes = &caller.lanes;
  http::Call call = get("http://127.0.0.1:" + std::to_string(http::test::port_of(site.server)) + "/", 100ms);
  call.access.authorization = config::Authorization{"Bearer", files.write("token", "t")};
  const Result<http::Answer> late = caller(call);
  REQUIRE(late.has_error());
  CHECK(late.error().fault == Fault::timeout);
  CHECK(late.error().what == "reading " + files.path("token") + ": no answer in time");

  hangs = false;
  call.access.authorization->credentials_file = files.write("other", "t");
  call.deadline = 10s;
  CHECK(caller(call).has_value());
  hangs = true;
  const auto begin = std::chrono::steady_clock::now();
  CHECK(caller(call).has_value());  // after Keyring::patience, with what it had
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
}

TEST_CASE("client: without a thread for a file or a lookup a call fails, and the next one tries again") {
  struct None : Lane {
    bool busy() const override { return false; }
    bool start(std::function<void()>, std::function<void()>) override { return false; }
  };
  const http::test::Site site;
  const Files files;
  bool none = true;
  LaneThreads* lanes = nullptr;
  Caller caller({}, [&]() -> std::unique_ptr<Lane> {
    if (none) return std::make_unique<None>();
    return lanes->make();
  });
  lanes = &caller.lanes;
  const std::string port = std::to_string(http::test::port_of(site.server));
  http::Call by_name = get("http://localhost:" + port + "/");
  http::Call with_token = get("http://127.0.0.1:" + port + "/");
  with_token.access.authorization = config::Authorization{"Bearer", files.write("token", "t")};
  for (const http::Call& call : {by_name, with_token}) {
    none = true;
    const Result<http::Answer> failed = caller(call);
    REQUIRE(failed.has_error());
    CHECK(failed.error().what == thread_error().what);
    none = false;
    CHECK(caller(call).has_value());
  }
  none = true;
  CHECK(caller(with_token).has_value());  // with what was read before
}

TEST_CASE("client: TLS to a server without TLS, and a body that is cut without close_notify") {
  const http::test::Site site;
  const Result<http::Answer> none =
      Caller()(get("https://127.0.0.1:" + std::to_string(http::test::port_of(site.server)) + "/"));
  REQUIRE(none.has_error());
  CHECK(none.error().fault == Fault::transient);

  const Files files;
  const Identity identity;
  const Hostile server([&identity](tcp::socket& socket) {
    serve_tls(identity, socket, nullptr, [&](TlsStream& stream) {
      error_code error;
      asio::write(stream, asio::buffer(std::string("HTTP/1.1 200 OK\r\n\r\nhalf of it")), error);
      socket.shutdown(tcp::socket::shutdown_send, error);  // as an attacker in between could
      char byte = 0;
      socket.read_some(asio::buffer(&byte, 1), error);
    });
  });
  const Result<http::Answer> cut = Caller()(secure(server.url("https"), files.write("ca.pem", identity.certificate)));
  REQUIRE(cut.has_error());
  CHECK(cut.error().fault == Fault::transient);
}
