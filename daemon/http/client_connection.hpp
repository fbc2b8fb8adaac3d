// A connection of the client to a server, with or without TLS. Loop's thread only.
//
// While it is kept for the next call, one read waits on it, so that a close by the server is seen when it comes and not
// when the next request is lost. The read goes on when the connection is taken, and becomes that call's first one.
#pragma once

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

namespace perjoule::http {

namespace asio = boost::asio;
using boost::system::error_code;
using Steady = std::chrono::steady_clock;

class ClientConnection : public std::enable_shared_from_this<ClientConnection> {
 public:
  explicit ClientConnection(asio::io_context& context);

  struct Read {
    error_code error;
    std::string_view bytes;  // valid until the next read
  };
  asio::awaitable<Read> read();
  asio::awaitable<error_code> write(std::string_view bytes);  // `bytes` must outlive the call
  void close();

  // Waits for bytes or a close. When one of them or the time `until` comes while the connection is kept, calls `ended`
  // once.
  void keep(Steady::time_point until, std::function<void()> ended);
  // The connection is used again: `ended` is no longer called.
  void take();

  asio::ip::tcp::socket socket;
  std::shared_ptr<asio::ssl::context> tls_context;  // outlives the stream, which uses it
  std::optional<asio::ssl::stream<asio::ip::tcp::socket&>> tls;
  [[nodiscard]] Steady::time_point born() const { return born_; }

 private:
  void end();

  const Steady::time_point born_ = Steady::now();
  std::array<char, 4096> buffer_{};
  asio::steady_timer timer_;  // of the time kept, and to wake read()
  std::function<void()> ended_;
  bool reading_ = false;  // the waiting read
  bool unread_ = false;   // it has ended and read() has not returned it
  error_code error_;
  std::size_t size_ = 0;
};

}  // namespace perjoule::http
