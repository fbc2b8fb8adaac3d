// Looks host names up on lanes, because getaddrinfo(3) may block without limit. Loop's thread only.
//
// Calls for the same host and port share one lookup. At most `lookups_max` run; further names wait for a place until
// their call ends. A lookup that hangs keeps its thread and its place, and delays only calls for its own name.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "collectors/result.hpp"
#include "daemon/base/lane.hpp"
#include "daemon/http/exchange.hpp"

namespace perjoule::http {

using Endpoints = std::vector<asio::ip::tcp::endpoint>;

class Resolver : public std::enable_shared_from_this<Resolver> {
 public:
  static constexpr std::size_t lookups_max = 8;
  static constexpr std::size_t addresses_max = 8;

  explicit Resolver(MakeLane make_lane) : make_lane_(std::move(make_lane)) {}

  // At most `addresses_max`, in the resolver's order. A numeric address needs no lookup.
  asio::awaitable<Result<Endpoints>> find(std::shared_ptr<Exchange> exchange, std::string host, std::string port);
  [[nodiscard]] std::uint64_t waited() const { return waited_; }  // how often a name had to wait for a place

 private:
  struct Lookup {
    Endpoints endpoints;
    std::string error;
    std::unique_ptr<Lane> lane;
    bool done = false;
    Waiters waiters;
  };
  // Null: no thread could be created.
  std::shared_ptr<Lookup> start(const std::string& host, const std::string& port);

  MakeLane make_lane_;
  std::map<std::string, std::shared_ptr<Lookup>> running_;  // by host and port
  Waiters queue_;
  std::uint64_t waited_ = 0;
};

}  // namespace perjoule::http
