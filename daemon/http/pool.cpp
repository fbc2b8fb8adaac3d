#include "daemon/http/pool.hpp"

#include <algorithm>

namespace perjoule::http {

std::shared_ptr<ClientConnection> Pool::take(const std::string& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  const List::iterator newest = found->second.back();
  std::shared_ptr<ClientConnection> connection = newest->connection;
  connection->take();
  drop(newest);
  ++counts_.reused;
  return connection;
}

void Pool::keep(const std::string& key, const std::shared_ptr<ClientConnection>& connection) {
  const Steady::time_point now = Steady::now();
  const Steady::time_point until = std::min(now + limits_.idle, connection->born() + limits_.age);
  const auto found = by_key_.find(key);
  if (found != by_key_.end() && found->second.size() >= limits_.per_key) ++counts_.surplus;
  const bool room = found == by_key_.end() || found->second.size() < limits_.per_key;
  if (!keeps() || !room) return connection->close();
  if (until <= now) {
    ++counts_.expired;
    return connection->close();
  }
  if (all_.size() >= limits_.connections) {
    ++counts_.evicted;
    all_.front().connection->take();
    all_.front().connection->close();
    drop(all_.begin());
  }
  const auto kept = all_.insert(all_.end(), {key, connection, until});
  by_key_[key].push_back(kept);
  connection->keep(until, [this, kept] {
    const std::shared_ptr<ClientConnection> ended = kept->connection;
    ++(kept->until <= Steady::now() ? counts_.expired : counts_.closed_by_server);
    ended->close();
    drop(kept);
  });
}

void Pool::clear() {
  for (const Kept& kept : all_) {
    kept.connection->take();
    kept.connection->close();
  }
  by_key_.clear();
  all_.clear();
}

void Pool::drop(List::iterator kept) {
  const auto found = by_key_.find(kept->key);
  found->second.remove(kept);
  if (found->second.empty()) by_key_.erase(found);
  all_.erase(kept);
}

}  // namespace perjoule::http
