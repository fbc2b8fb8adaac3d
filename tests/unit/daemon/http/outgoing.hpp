// Shared by the tests of the HTTP client: a loop that runs one call, servers on threads of their own, certificates.
#pragma once

#include <doctest/doctest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "daemon/http/client.hpp"

namespace perjoule::http::outgoing {

using asio::ip::tcp;
using boost::system::error_code;

inline Call get(std::string url, std::chrono::milliseconds deadline = std::chrono::seconds(10)) {
  Call call;
  call.url = std::move(url);
  call.deadline = deadline;
  return call;
}

// Runs one call to its end on its own loop. Files are looked at again for each call.
struct Caller {
  asio::io_context loop{1};
  LaneThreads lanes{loop};
  std::unique_ptr<Client> client;

  explicit Caller(PoolLimits pool = {}, MakeLane make_lane = {}, std::chrono::milliseconds recheck = {}) {
    if (!make_lane) make_lane = [this] { return lanes.make(); };
    client = std::make_unique<Client>(loop, ClientOptions{make_lane, "tests/1", pool, recheck});
  }
  void start(Call call, std::optional<Result<Answer>>& answer) {
    asio::co_spawn(loop, client->fetch(std::move(call)),
                   [&answer](const std::exception_ptr& failure, Result<Answer> got) {
                     CHECK(!failure);
                     answer = std::move(got);
                   });
  }
  // Runs until the call has ended: a kept connection would keep the loop busy.
  Result<Answer> operator()(Call call) {
    std::optional<Result<Answer>> answer;
    start(std::move(call), answer);
    loop.restart();
    while (!answer && loop.run_one() > 0) {
    }
    REQUIRE(answer.has_value());
    return *answer;
  }
  // Runs what the loop has to do until `condition` is true.
  template <class Condition>
  bool until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    loop.restart();
    while (!condition() && std::chrono::steady_clock::now() < end) {
      loop.run_for(std::chrono::milliseconds(1));
      loop.restart();
    }
    return condition();
  }
};

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
        ++accepted;
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
  [[nodiscard]] std::string port() const { return std::to_string(acceptor_.local_endpoint().port()); }
  [[nodiscard]] std::string url(const std::string& scheme = "http") const {
    return scheme + "://127.0.0.1:" + port() + "/x";
  }

  std::atomic<int> accepted = 0;

 private:
  asio::io_context loop_;
  tcp::acceptor acceptor_;
  std::function<void(tcp::socket&)> serve_;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

template <class Stream>
std::string read_head(Stream& stream) {
  std::string text;
  error_code ignored;
  asio::read_until(stream, asio::dynamic_buffer(text), "\r\n\r\n", ignored);
  return text;
}

template <class Stream>
void say(Stream& stream, const std::string& text) {
  error_code ignored;
  asio::write(stream, asio::buffer(text), ignored);
}

inline std::string ok(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// A directory for files that calls name.
class Files {
 public:
  Files() : path_((std::filesystem::temp_directory_path() / "perjoule-http-XXXXXX").string()) {
    if (mkdtemp(path_.data()) == nullptr) FAIL("no temporary directory");
  }
  ~Files() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;
  std::string write(const std::string& name, std::string_view content) const {
    const std::string file = path_ + '/' + name;
    std::ofstream(file, std::ios::binary) << content;
    return file;
  }
  [[nodiscard]] std::string path(const std::string& name) const { return path_ + '/' + name; }

 private:
  std::string path_;
};

// A key and a certificate for `names` ("DNS:a,IP:127.0.0.1"; "": none), signed by itself.
struct Identity {
  std::string key;
  std::string certificate;
  explicit Identity(const std::string& names = "IP:127.0.0.1", const char* common_name = "test") {
    EVP_PKEY* pair = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
    X509* x509 = X509_new();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, pair);
    X509_NAME* name = X509_get_subject_name(x509);
    const auto* common = reinterpret_cast<const unsigned char*>(common_name);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common, -1, -1, 0);
    X509_set_issuer_name(x509, name);
    if (!names.empty()) {
      X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
      X509_add_ext(x509, extension, -1);
      X509_EXTENSION_free(extension);
    }
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

using TlsStream = asio::ssl::stream<tcp::socket&>;

// Shakes hands, then serves the stream. With `client`, only a client with that certificate is served.
template <class Serve>
void serve_tls(const Identity& identity, tcp::socket& socket, const Identity* client, Serve serve) {
  asio::ssl::context context(asio::ssl::context::tls_server);
  context.use_private_key(asio::buffer(identity.key), asio::ssl::context::pem);
  context.use_certificate_chain(asio::buffer(identity.certificate));
  if (client != nullptr) {
    context.add_certificate_authority(asio::buffer(client->certificate));
    context.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
  }
  TlsStream stream(socket, context);
  error_code error;
  stream.handshake(asio::ssl::stream_base::server, error);
  if (!error) serve(stream);
}

inline void serve_once(TlsStream& stream) {
  read_head(stream);
  say(stream, "HTTP/1.1 200 OK\r\n\r\nover TLS");
  error_code ignored;
  stream.shutdown(ignored);
}

}  // namespace perjoule::http::outgoing
