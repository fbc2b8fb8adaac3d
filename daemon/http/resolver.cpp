#include "daemon/http/resolver.hpp"

#include <fmt/format.h>
#include <netdb.h>

#include <algorithm>
#include <charconv>

namespace perjoule::http {

namespace {

struct Found {
  Endpoints endpoints;
  std::string error;
};

// Runs on a lane.
Found look_up(const std::string& host, const std::string& port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  if (const int code = getaddrinfo(host.c_str(), port.c_str(), &hints, &list); code != 0)
    return {{}, gai_strerror(code)};
  Found found;
  for (const addrinfo* entry = list; entry != nullptr && found.endpoints.size() < Resolver::addresses_max;
       entry = entry->ai_next) {
    asio::ip::tcp::endpoint endpoint;
    if (entry->ai_addrlen > endpoint.capacity()) continue;
    std::copy_n(reinterpret_cast<const char*>(entry->ai_addr), entry->ai_addrlen,
                reinterpret_cast<char*>(endpoint.data()));
    endpoint.resize(entry->ai_addrlen);
    found.endpoints.push_back(endpoint);
  }
  freeaddrinfo(list);
  if (found.endpoints.empty()) found.error = "the name has no usable address";
  return found;
}

}  // namespace

std::shared_ptr<Resolver::Lookup> Resolver::start(const std::string& host, const std::string& port) {
  const std::string key = host + ':' + port;
  auto lookup = std::make_shared<Lookup>();
  lookup->lane = make_lane_();
  const auto found = std::make_shared<Found>();
  const auto work = [found, host, port] { *found = look_up(host, port); };
  const auto done = [found, key, weak = weak_from_this(), weak_lookup = std::weak_ptr(lookup)] {
    const auto self = weak.lock();
    const auto ended = weak_lookup.lock();
    if (!self || !ended) return;
    ended->endpoints = std::move(found->endpoints);
    ended->error = std::move(found->error);
    ended->done = true;
    self->running_.erase(key);
    wake_all(ended->waiters);
    wake_all(self->queue_);
  };
  if (!lookup->lane->start(work, done)) return nullptr;
  running_[key] = lookup;
  return lookup;
}

asio::awaitable<Result<Endpoints>> Resolver::find(std::shared_ptr<Exchange> exchange, std::string host,
                                                  std::string port) {
  const std::shared_ptr<Resolver> self = shared_from_this();
  error_code not_numeric;
  const asio::ip::address address = asio::ip::make_address(host, not_numeric);
  std::uint16_t number = 0;
  std::from_chars(port.data(), port.data() + port.size(), number);
  if (!not_numeric) co_return Endpoints{{address, number}};
  const std::string doing = "looking up " + host;
  const std::string key = host + ':' + port;
  if (!running_.contains(key) && running_.size() >= lookups_max) ++waited_;
  while (!running_.contains(key) && running_.size() >= lookups_max && !exchange->ended()) {
    add_waiter(queue_, exchange);
    co_await exchange->wait();
  }
  if (exchange->ended()) co_return exchange->failure(doing, "");
  const auto running = running_.find(key);
  const std::shared_ptr<Lookup> lookup = running == running_.end() ? start(host, port) : running->second;
  if (!lookup) co_return thread_error();
  while (!lookup->done && !exchange->ended()) {
    add_waiter(lookup->waiters, exchange);
    co_await exchange->wait();
  }
  if (exchange->ended()) co_return exchange->failure(doing, "");
  if (lookup->endpoints.empty()) co_return exchange->failure(doing, lookup->error);
  co_return lookup->endpoints;
}

}  // namespace perjoule::http
