#include "tests/fakes/statements.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

namespace perjoule::fakes {

namespace {

// A global, because SQLite's hook for new connections (sqlite3_auto_extension) passes no user data.
struct Watched {
  Statements::Watcher watcher;
  std::vector<sqlite3*> open;
};
Watched* watched = nullptr;

int on_trace(unsigned what, void* connection, void* subject, void*) {
  if (watched == nullptr) return 0;
  if (what == SQLITE_TRACE_CLOSE) {
    std::erase(watched->open, static_cast<sqlite3*>(connection));
    return 0;
  }
  const char* sql = sqlite3_sql(static_cast<sqlite3_stmt*>(subject));
  if (sql != nullptr && watched->watcher) watched->watcher(sql);
  return 0;
}

int on_open(sqlite3* connection, char**, const sqlite3_api_routines*) {
  watched->open.push_back(connection);
  return sqlite3_trace_v2(connection, SQLITE_TRACE_STMT | SQLITE_TRACE_CLOSE, on_trace, connection);
}

void (*entry())() {
  return reinterpret_cast<void (*)()>(on_open);
}

}  // namespace

Statements::Statements(Watcher watcher) {
  if (watched != nullptr) std::abort();
  watched = new Watched{std::move(watcher), {}};
  if (sqlite3_auto_extension(entry()) != SQLITE_OK) std::abort();
}

Statements::~Statements() {
  sqlite3_cancel_auto_extension(entry());
  for (sqlite3* connection : watched->open)
    sqlite3_trace_v2(connection, 0, nullptr, nullptr);
  delete std::exchange(watched, nullptr);
}

void Statements::spill_early() {
  if (watched == nullptr) return;
  for (sqlite3* connection : watched->open)
    sqlite3_exec(connection, "PRAGMA cache_size=1", nullptr, nullptr, nullptr);
}

}  // namespace perjoule::fakes
