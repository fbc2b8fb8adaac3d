// A plain blocking client and a small site for the tests of the HTTP server. Every receive ends after ten seconds.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/http/server.hpp"

namespace perjoule::http::test {

inline std::uint16_t port_of(const Server& server, std::size_t index = 0) {
  auto address = server.addresses().at(index);
  return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

struct Answer {
  int status = 0;  // 0: the server closed without a response
  std::string head;
  std::string body;
  [[nodiscard]] bool has(std::string_view line) const {
    return head.find(std::string(line) + "\r\n") != std::string::npos;
  }
};

class Client {
 public:
  Client() : Client(AF_INET) {}
  explicit Client(int family) : socket_(socket(family, SOCK_STREAM, 0)) {
    timeval limit{10, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  explicit Client(const Server& server) : Client() {
    if (!connect(port_of(server))) throw std::runtime_error("cannot connect to the server");
  }
  Client(Client&& other) noexcept : socket_(std::exchange(other.socket_, -1)), kept_(std::move(other.kept_)) {}
  Client& operator=(Client&&) = delete;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() {
    if (socket_ >= 0) close(socket_);
  }

  // To 127.0.0.1 or ::1.
  bool connect(std::uint16_t port) {
    int family = 0;
    socklen_t size = sizeof family;
    getsockopt(socket_, SOL_SOCKET, SO_DOMAIN, &family, &size);
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    v6.sin6_addr = in6addr_loopback;
    auto* address = family == AF_INET ? static_cast<void*>(&v4) : static_cast<void*>(&v6);
    return ::connect(socket_, static_cast<sockaddr*>(address), family == AF_INET ? sizeof v4 : sizeof v6) == 0;
  }

  // Returns how many bytes of `text` the server's kernel accepted before it closed.
  std::size_t send(std::string_view text) {
    std::size_t sent = 0;
    while (sent < text.size()) {
      auto n = ::send(socket_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += static_cast<std::size_t>(n);
    }
    return sent;
  }
  void finish() { shutdown(socket_, SHUT_WR); }

  Answer get(std::string_view path) {
    send("GET " + std::string(path) + " HTTP/1.1\r\nHost: test\r\n\r\n");
    return receive();
  }

  // The next response; `head`: it is the response to a HEAD request.
  Answer receive(bool head = false) {
    Answer answer;
    std::size_t end;
    while ((end = kept_.find("\r\n\r\n")) == std::string::npos)
      if (!more()) return answer;
    answer.head = kept_.substr(0, end + 4);
    kept_.erase(0, end + 4);
    answer.status = std::stoi(answer.head.substr(9, 3));
    auto field = answer.head.find("Content-Length: ");
    std::size_t size = head || field == std::string::npos ? 0 : std::stoul(answer.head.substr(field + 16));
    while (kept_.size() < size)
      if (!more()) return Answer{};
    answer.body = kept_.substr(0, size);
    kept_.erase(0, size);
    return answer;
  }

  // True when the server closes and sends nothing before that; false after ten seconds.
  bool closed() {
    if (!kept_.empty()) return false;
    char byte;
    auto n = recv(socket_, &byte, 1, 0);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
  }
  // The same without reading what the server has sent.
  bool reset() {
    pollfd entry{socket_, 0, 0};
    return poll(&entry, 1, 10000) == 1 && (entry.revents & (POLLHUP | POLLERR)) != 0;
  }
  bool readable_within(std::chrono::milliseconds time) {
    pollfd entry{socket_, POLLIN, 0};
    return poll(&entry, 1, static_cast<int>(time.count())) == 1;
  }
  bool receive_byte() {
    char byte;
    return recv(socket_, &byte, 1, 0) == 1;
  }
  void small_window() {
    int size = 4096;
    setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  }

 private:
  bool more() {
    char bytes[65536];
    auto n = recv(socket_, bytes, sizeof bytes, 0);
    if (n > 0) kept_.append(bytes, static_cast<std::size_t>(n));
    return n > 0;
  }

  int socket_;
  std::string kept_;
};

inline constexpr std::size_t big_body = 32 * 1024 * 1024;  // more than the kernel's buffers of one connection hold

// "/": hello. "/big": big_body bytes. "/throw", "/split": errors of the handler. Others: method, path, query and body.
inline Response site(const Request& request) {
  static const auto big = make_body(std::string(big_body, 'x'));
  Response response;
  if (request.path == "/") {
    response.body = make_body("hello");
  } else if (request.path == "/big") {
    response.body = big;
  } else if (request.path == "/throw") {
    throw std::runtime_error("a fault of the handler");
  } else if (request.path == "/split") {
    response.headers.emplace_back("X-Test", "a\r\nX-Forged: b");
  } else if (request.path == "/empty") {
    response.status = 204;
  } else {
    std::string text = request.method + " " + request.path;
    for (const auto& [name, value] : request.query)
      text += " " + name + "=" + value;
    if (request.loopback) text += " loopback";
    response.body = make_body(text + " [" + request.body + "]");
  }
  return response;
}

// A started server of `site` on a free port of 127.0.0.1.
struct Site {
  explicit Site(Limits limits = {}) : server({"127.0.0.1:0"}, limits, site) {
    if (server.start().has_error()) throw std::runtime_error("the server does not start");
  }
  Server server;
};

}  // namespace perjoule::http::test
