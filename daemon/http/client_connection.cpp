#include "daemon/http/client_connection.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace perjoule::http {

ClientConnection::ClientConnection(asio::io_context& context) : socket(context), timer_(context) {}

void ClientConnection::close() {
  error_code ignored;
  socket.close(ignored);
}

asio::awaitable<ClientConnection::Read> ClientConnection::read() {
  const std::shared_ptr<ClientConnection> self = shared_from_this();
  error_code error;
  while (reading_) {
    timer_.expires_at(Steady::time_point::max());
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
  if (!std::exchange(unread_, false)) {
    error_ = {};
    auto token = asio::redirect_error(asio::use_awaitable, error_);
    if (tls) {
      size_ = co_await tls->async_read_some(asio::buffer(buffer_), token);
    } else {
      size_ = co_await socket.async_read_some(asio::buffer(buffer_), token);
    }
  }
  co_return Read{error_, {buffer_.data(), size_}};
}

asio::awaitable<error_code> ClientConnection::write(std::string_view bytes) {
  const std::shared_ptr<ClientConnection> self = shared_from_this();
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  if (tls) {
    co_await asio::async_write(*tls, asio::buffer(bytes), token);
  } else {
    co_await asio::async_write(socket, asio::buffer(bytes), token);
  }
  co_return error;
}

void ClientConnection::keep(Steady::time_point until, std::function<void()> ended) {
  ended_ = std::move(ended);
  reading_ = true;
  const auto done = [self = shared_from_this()](const error_code& error, std::size_t size) {
    self->reading_ = false;
    self->unread_ = true;
    self->error_ = error;
    self->size_ = size;
    self->timer_.cancel();
    self->end();
  };
  if (tls) {
    tls->async_read_some(asio::buffer(buffer_), done);
  } else {
    socket.async_read_some(asio::buffer(buffer_), done);
  }
  timer_.expires_at(until);
  timer_.async_wait([weak = weak_from_this()](const error_code& error) {
    const std::shared_ptr<ClientConnection> self = weak.lock();
    if (!error && self && self->timer_.expiry() <= Steady::now()) self->end();
  });
}

void ClientConnection::take() {
  ended_ = nullptr;
  timer_.cancel();
}

void ClientConnection::end() {
  if (const auto ended = std::exchange(ended_, nullptr)) ended();
}

}  // namespace perjoule::http
