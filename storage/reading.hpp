// The connection through which the queries of this process read history.db, shared with the writer.
//
// All connections of a process to one file share its WAL index. So the writer can replace a deleted WAL or index only
// while no query runs, after it has closed this connection. Owned by both threads together; a reader that hangs on the
// disk keeps the mutex.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "storage/sqlite/database.hpp"

namespace perjoule::storage {

struct Reading {
  std::mutex mutex;  // held during a query, and by the writer while it closes history.db and opens it again
  std::unique_ptr<Connection> connection;  // null: to be opened by the next query
  // A query could not read the file: at its next commit the writer reads the whole file, and saves it if it is damaged.
  std::atomic<bool> suspect = false;
};

}  // namespace perjoule::storage
