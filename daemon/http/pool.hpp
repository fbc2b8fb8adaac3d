// The connections that are kept for the next call to the same server. Loop's thread only.
//
// A key names all that must be equal: host, port, TLS files, proxy. Connections are used again in the order of their
// last use, the newest first. One that its server closes, that is idle or old for too long, or for which there is no
// room, is closed and counted.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "daemon/http/client_connection.hpp"

namespace perjoule::http {

struct PoolLimits {
  std::size_t connections = 64;  // in all; 0: none is kept
  std::size_t per_key = 2;
  std::chrono::milliseconds idle{120'000};
  std::chrono::milliseconds age{600'000};  // so that a change of address is followed
};

struct PoolCounts {
  std::uint64_t reused = 0;
  std::uint64_t closed_by_server = 0;
  std::uint64_t expired = 0;  // idle or age
  std::uint64_t evicted = 0;  // for a newer one, at the limit of all
  std::uint64_t surplus = 0;  // not kept, at the limit of its key
};

class Pool {
 public:
  explicit Pool(PoolLimits limits) : limits_(limits) {}
  ~Pool() { clear(); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  [[nodiscard]] std::shared_ptr<ClientConnection> take(const std::string& key);  // null: none is kept
  void keep(const std::string& key, const std::shared_ptr<ClientConnection>& connection);
  void clear();

  [[nodiscard]] bool keeps() const { return limits_.connections > 0; }
  [[nodiscard]] std::size_t size() const { return all_.size(); }
  [[nodiscard]] const PoolCounts& counts() const { return counts_; }

 private:
  struct Kept {
    std::string key;
    std::shared_ptr<ClientConnection> connection;
    Steady::time_point until;
  };
  using List = std::list<Kept>;  // the longest unused first
  void drop(List::iterator kept);

  PoolLimits limits_;
  PoolCounts counts_;
  List all_;
  std::unordered_map<std::string, std::list<List::iterator>> by_key_;  // the longest unused first
};

}  // namespace perjoule::http
